-- The log of what happened.

CREATE TABLE log_events (
    log_id     TEXT NOT NULL PRIMARY KEY, -- begins with the time, so that its order is theirs
    at         BIGINT NOT NULL,
    type       TEXT NOT NULL,
    user_id    TEXT,
    client_id  TEXT,
    connection TEXT,
    body       TEXT NOT NULL -- JSON: everything else
);

CREATE INDEX log_events_by_type ON log_events (type, log_id);
CREATE INDEX log_events_by_user ON log_events (user_id, log_id) WHERE user_id IS NOT NULL;
