-- Linked identities, what operators set, conflicts. One text for both databases, as in 0001.

ALTER TABLE users ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN groups TEXT NOT NULL DEFAULT '[]'; -- given by operators
ALTER TABLE users ADD COLUMN custom_fields TEXT NOT NULL DEFAULT '{}';

-- From here on a last_login of 0 says that nobody has come by the identity yet.
ALTER TABLE identities ADD COLUMN root TEXT NOT NULL DEFAULT '{}';
ALTER TABLE identities ADD COLUMN email TEXT; -- in lower case, for finding only
ALTER TABLE identities ADD COLUMN email_verified BIGINT NOT NULL DEFAULT 0;
ALTER TABLE identities ADD COLUMN groups TEXT NOT NULL DEFAULT '[]'; -- given by the connection
ALTER TABLE identities ADD COLUMN allows_login BIGINT NOT NULL DEFAULT 1;
ALTER TABLE identities ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;

UPDATE users SET updated_at = created_at;
-- Until now an identity was made together with its user.
UPDATE identities SET created_at = (SELECT u.created_at FROM users u WHERE u.user_id = identities.user_id);

-- One primary for each user.
CREATE UNIQUE INDEX identities_by_position ON identities (user_id, position);
DROP INDEX identities_by_user;
CREATE INDEX identities_by_email ON identities (email) WHERE email IS NOT NULL;

-- A row lives as long as a transaction that decides by an e-mail address whose an identity is, and lets no second one
-- decide about the same address meanwhile.
CREATE TABLE email_turns (
    email TEXT NOT NULL PRIMARY KEY
);

-- The link journal. A line belongs to the user who has its identities, and goes with this user.
CREATE TABLE links (
    link_id        TEXT NOT NULL PRIMARY KEY,
    number         BIGINT NOT NULL, -- larger than that of every line that either user had before
    at             BIGINT NOT NULL,
    user_id        TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    former_user_id TEXT, -- the user that ended, if the identities had one
    how            TEXT NOT NULL,
    actor          TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    kept           TEXT NOT NULL, -- of the former user; emptied when it is given back
    undone_at      BIGINT
);

CREATE INDEX links_by_user ON links (user_id);

CREATE TABLE link_identities (
    link_id    TEXT NOT NULL REFERENCES links (link_id) ON DELETE CASCADE,
    position   BIGINT NOT NULL, -- 0 was the former user's primary
    connection TEXT NOT NULL,
    subject    TEXT NOT NULL,
    here       BIGINT NOT NULL, -- 1 until it leaves the line's user
    PRIMARY KEY (link_id, position)
);

CREATE INDEX link_identities_by_identity ON link_identities (connection, subject);

CREATE TABLE conflicts (
    connection     TEXT NOT NULL,
    subject        TEXT NOT NULL,
    reason         TEXT NOT NULL,
    email          TEXT,
    candidates     TEXT NOT NULL, -- JSON: user ids
    correlation_id TEXT NOT NULL,
    first_at       BIGINT NOT NULL,
    last_at        BIGINT NOT NULL,
    times          BIGINT NOT NULL,
    PRIMARY KEY (connection, subject)
);

CREATE INDEX conflicts_by_time ON conflicts (last_at);
