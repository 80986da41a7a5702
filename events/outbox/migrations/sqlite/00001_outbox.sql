-- +goose Up

-- Events that wait for the broker. AUTOINCREMENT, for a number must not come again.
CREATE TABLE hanse_outbox (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    topic      TEXT    NOT NULL,
    lane       TEXT    NOT NULL, -- '=' and the key, or '#' and the ID of an event without a key
    attributes TEXT    NOT NULL, -- JSON
    data       BLOB    NOT NULL,
    created_at INTEGER NOT NULL  -- ms since 1970
);
CREATE INDEX hanse_outbox_topic ON hanse_outbox (topic, seq);

-- Who moves the events of a topic, and until when nobody else does.
CREATE TABLE hanse_outbox_lease (
    topic TEXT    NOT NULL PRIMARY KEY,
    owner TEXT    NOT NULL,
    until INTEGER NOT NULL -- ms since 1970
) WITHOUT ROWID;

-- Events that the broker refused for good.
CREATE TABLE hanse_outbox_refused (
    seq        INTEGER NOT NULL PRIMARY KEY,
    topic      TEXT    NOT NULL,
    lane       TEXT    NOT NULL,
    attributes TEXT    NOT NULL,
    data       BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    error      TEXT    NOT NULL,
    refused_at INTEGER NOT NULL
);

-- What must stay the same for all relays of this outbox: the source of its events.
CREATE TABLE hanse_outbox_setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
