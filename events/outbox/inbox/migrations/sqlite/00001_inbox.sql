-- +goose Up

-- Events that were handled. Numbers go up, so the oldest rows are found without an index of times.
CREATE TABLE hanse_inbox (
    number     INTEGER PRIMARY KEY,
    handler    TEXT    NOT NULL, -- the group
    source     TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    handled_at INTEGER NOT NULL  -- ms since 1970
);
CREATE UNIQUE INDEX hanse_inbox_event ON hanse_inbox (handler, source, id);
