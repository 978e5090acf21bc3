-- One text for SQLite and PostgreSQL: TEXT and BIGINT only, 0 and 1 for no and yes, JSON as TEXT, times in milliseconds since 1970.

CREATE TABLE users (
    user_id       TEXT NOT NULL PRIMARY KEY,
    blocked       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    user_metadata TEXT NOT NULL,
    app_metadata  TEXT NOT NULL
);

CREATE TABLE identities (
    connection   TEXT NOT NULL,
    subject      TEXT NOT NULL,
    user_id      TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    position     BIGINT NOT NULL, -- 0 is the primary
    provider     TEXT NOT NULL,
    is_social    BIGINT NOT NULL,
    last_login   BIGINT NOT NULL,
    logins_count BIGINT NOT NULL,
    profile      TEXT NOT NULL,
    PRIMARY KEY (connection, subject)
);

CREATE INDEX identities_by_user ON identities (user_id);

CREATE TABLE refresh_families (
    grant_id   TEXT NOT NULL PRIMARY KEY,
    client_id  TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked    BIGINT NOT NULL,
    data       TEXT NOT NULL
);

CREATE INDEX refresh_families_by_user ON refresh_families (user_id);
CREATE INDEX refresh_families_by_expiry ON refresh_families (expires_at);

CREATE TABLE audit (
    id             TEXT NOT NULL PRIMARY KEY, -- begins with the time, so that its order is theirs
    at             BIGINT NOT NULL,
    kind           TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    detail         TEXT NOT NULL
);

CREATE TABLE saved_sessions (
    part    BIGINT NOT NULL PRIMARY KEY,
    entries TEXT NOT NULL -- JSON: [[key, base64 of the value, expiry], ..]
);
