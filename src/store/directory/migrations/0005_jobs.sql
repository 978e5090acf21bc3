-- Bulk imports and exports, secrets of identities. One text for both databases, as in 0001; the log of what happened is beside it.

CREATE TABLE jobs (
    id             TEXT NOT NULL PRIMARY KEY,
    type           TEXT NOT NULL, -- users_import, users_export
    status         TEXT NOT NULL, -- receiving, pending, processing, completed, failed
    created_at     BIGINT NOT NULL,
    started_at     BIGINT,
    finished_at    BIGINT,
    connection_id  TEXT,
    connection     TEXT,
    external_id    TEXT,
    settings       TEXT NOT NULL, -- JSON of whoever works on it
    status_details TEXT,
    parts          BIGINT NOT NULL, -- of an import those that have arrived, of an export those that are written
    next_part      BIGINT NOT NULL, -- of an import: the first that is not in the directory yet
    place          TEXT, -- of an export: the last user written
    total          BIGINT NOT NULL, -- users, from here on
    inserted       BIGINT NOT NULL,
    updated        BIGINT NOT NULL,
    failed         BIGINT NOT NULL,
    owner          TEXT, -- who works on it, as long as the lease holds
    lease_until    BIGINT NOT NULL,
    slot           BIGINT -- until it ends; there are as many slots as jobs that may be under way
);

CREATE UNIQUE INDEX jobs_by_slot ON jobs (slot);
CREATE INDEX jobs_by_time ON jobs (created_at);

-- Of an import sealed users, deleted when they are in the directory; of an export pieces of the file, in base64.
CREATE TABLE job_parts (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    part   BIGINT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (job_id, part)
);

CREATE TABLE job_errors (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    part   BIGINT NOT NULL,
    body   TEXT NOT NULL, -- JSON: [{user, errors}, ..]
    PRIMARY KEY (job_id, part)
);

-- Passwords and further factors stay with the identity, whose user it may be.
CREATE TABLE credentials (
    connection TEXT NOT NULL,
    subject    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    body       TEXT NOT NULL, -- sealed, in base64
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (connection, subject, kind),
    FOREIGN KEY (connection, subject) REFERENCES identities (connection, subject) ON DELETE CASCADE
);

-- Names by which people sign in at a connection of ours, in lower case.
CREATE TABLE usernames (
    connection TEXT NOT NULL,
    username   TEXT NOT NULL,
    subject    TEXT NOT NULL,
    PRIMARY KEY (connection, username),
    FOREIGN KEY (connection, subject) REFERENCES identities (connection, subject) ON DELETE CASCADE
);

CREATE INDEX usernames_by_identity ON usernames (connection, subject);
