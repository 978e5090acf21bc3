-- What people have agreed that applications get. One text for both databases, as in 0001.

CREATE TABLE consents (
    user_id    TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL,
    audience   TEXT NOT NULL, -- of a resource server; empty where there is none
    consent_id TEXT NOT NULL,
    scopes     TEXT NOT NULL, -- JSON: texts
    claims     TEXT NOT NULL, -- JSON: texts
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id, audience)
);

CREATE UNIQUE INDEX consents_by_id ON consents (consent_id);
CREATE INDEX consents_by_client ON consents (client_id);
