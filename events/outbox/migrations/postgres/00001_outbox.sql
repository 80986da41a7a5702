-- +goose Up

-- Events that wait for the broker.
CREATE SEQUENCE hanse_outbox_seq;
CREATE TABLE hanse_outbox (
    seq        bigint NOT NULL PRIMARY KEY, -- given by the trigger
    topic      text   NOT NULL,
    lane       text   NOT NULL, -- '=' and the key, or '#' and the ID of an event without a key
    attributes text   NOT NULL, -- JSON
    data       bytea  NOT NULL,
    created_at bigint NOT NULL  -- ms since 1970
);
ALTER SEQUENCE hanse_outbox_seq OWNED BY hanse_outbox.seq;
CREATE INDEX hanse_outbox_topic ON hanse_outbox (topic, seq);

-- Transactions that have an event of the same key wait for each other, so that their events are in the order in which they were committed.
-- +goose StatementBegin
CREATE FUNCTION hanse_outbox_number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.lane LIKE '=%' THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('hanse_outbox ' || NEW.topic || NEW.lane, 0));
    END IF;
    NEW.seq := nextval(TG_ARGV[0]::regclass);
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER hanse_outbox_number BEFORE INSERT ON hanse_outbox FOR EACH ROW EXECUTE FUNCTION hanse_outbox_number('hanse_outbox_seq');

-- Wakes the relays when a transaction is committed. Transactions with a NOTIFY are committed one after the other, each with its own sync of the disk, so of
-- those that are committed at the same time only one notifies: the relays look several times after that, and find the others, too.
-- +goose StatementBegin
CREATE FUNCTION hanse_outbox_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(hashtextextended('hanse_outbox_wake', 0)) THEN
        PERFORM pg_notify('hanse_outbox', '');
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER hanse_outbox_wake AFTER INSERT ON hanse_outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hanse_outbox_wake();

-- Who moves the events of a topic, and until when nobody else does.
CREATE TABLE hanse_outbox_lease (
    topic text   NOT NULL PRIMARY KEY,
    owner text   NOT NULL,
    until bigint NOT NULL -- ms since 1970
);

-- Events that the broker refused for good.
CREATE TABLE hanse_outbox_refused (
    seq        bigint NOT NULL PRIMARY KEY,
    topic      text   NOT NULL,
    lane       text   NOT NULL,
    attributes text   NOT NULL,
    data       bytea  NOT NULL,
    created_at bigint NOT NULL,
    error      text   NOT NULL,
    refused_at bigint NOT NULL
);

-- What must stay the same for all relays of this outbox: the source of its events.
CREATE TABLE hanse_outbox_setting (
    name  text NOT NULL PRIMARY KEY,
    value text NOT NULL
);
