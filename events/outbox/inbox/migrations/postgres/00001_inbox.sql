-- +goose Up

-- Events that were handled. Numbers go up, so the oldest rows are found without an index of times.
CREATE TABLE hanse_inbox (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    handler    text   NOT NULL, -- the group
    source     text   NOT NULL,
    id         text   NOT NULL,
    handled_at bigint NOT NULL  -- ms since 1970
);
CREATE UNIQUE INDEX hanse_inbox_event ON hanse_inbox (handler, source, id);
