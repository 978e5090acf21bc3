-- What waits to be sent to partners again, such as logout tokens. One text for both databases, as in 0001.

CREATE TABLE queue (
    id         TEXT NOT NULL PRIMARY KEY,
    message    TEXT NOT NULL, -- JSON of whoever sends it
    attempts   BIGINT NOT NULL,
    due_at     BIGINT NOT NULL, -- while somebody sends it: when somebody else may
    expires_at BIGINT NOT NULL
);

CREATE INDEX queue_by_time ON queue (due_at);
