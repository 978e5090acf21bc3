-- What users are searched by. As 0004_search.postgres.sql, in SQLite's words.
--
-- A login writes `keys` and `root_keys`: what a search compares of its profile and of the root attributes, in JSON arrays.
-- Triggers carry that to tables of their own, and only when it has changed: most logins bring what was there before.

-- 0 email, 1 domain, 2 name, 3 given_name, 4 family_name, 5 nickname, 6 username, 7 phone_number, 8 picture,
-- 9 email_verified, 10 phone_number_verified
ALTER TABLE identities ADD COLUMN keys TEXT NOT NULL DEFAULT '[]';
-- 0 name, 1 given_name, 2 family_name, 3 nickname, 4 picture
ALTER TABLE identities ADD COLUMN root_keys TEXT NOT NULL DEFAULT '[]';

-- What the primary identity says, one row for each user.
CREATE TABLE search_users (
    user_id        TEXT NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    email          TEXT,
    domain         TEXT,
    name           TEXT,
    given_name     TEXT,
    family_name    TEXT,
    nickname       TEXT,
    username       TEXT,
    phone_number   TEXT,
    picture        TEXT,
    email_verified BIGINT NOT NULL,
    phone_verified BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX search_users_by_email ON search_users (email);
CREATE INDEX search_users_by_domain ON search_users (domain);
CREATE INDEX search_users_by_name ON search_users (name);
CREATE INDEX search_users_by_given_name ON search_users (given_name);
CREATE INDEX search_users_by_family_name ON search_users (family_name);
CREATE INDEX search_users_by_nickname ON search_users (nickname);
CREATE INDEX search_users_by_username ON search_users (username);

-- Of all identities of a user: the latest login, and how many.
CREATE TABLE search_activity (
    user_id      TEXT NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    last_login   BIGINT NOT NULL,
    logins_count BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX search_activity_by_last_login ON search_activity (last_login, user_id);
CREATE INDEX search_activity_by_logins_count ON search_activity (logins_count, user_id);

-- The values in user_metadata, app_metadata and custom_fields.
CREATE TABLE search_values (
    user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    path    TEXT NOT NULL,
    place   BIGINT NOT NULL, -- among the values of the user
    text    TEXT NOT NULL,
    number  DOUBLE PRECISION,
    PRIMARY KEY (user_id, path, place)
) WITHOUT ROWID;

CREATE INDEX search_values_by_text ON search_values (path, text);
CREATE INDEX search_values_by_number ON search_values (path, number) WHERE number IS NOT NULL;

CREATE INDEX users_by_creation ON users (created_at, user_id);
CREATE INDEX users_blocked ON users (user_id) WHERE blocked = 1;

CREATE VIEW search_sources AS
    SELECT p.user_id,
        json_extract(p.keys, '$[0]') AS email, json_extract(p.keys, '$[1]') AS domain,
        COALESCE(json_extract(p.root_keys, '$[0]'), json_extract(p.keys, '$[2]')) AS name,
        COALESCE(json_extract(p.root_keys, '$[1]'), json_extract(p.keys, '$[3]')) AS given_name,
        COALESCE(json_extract(p.root_keys, '$[2]'), json_extract(p.keys, '$[4]')) AS family_name,
        COALESCE(json_extract(p.root_keys, '$[3]'), json_extract(p.keys, '$[5]')) AS nickname,
        json_extract(p.keys, '$[6]') AS username, json_extract(p.keys, '$[7]') AS phone_number,
        COALESCE(json_extract(p.root_keys, '$[4]'), json_extract(p.keys, '$[8]')) AS picture,
        COALESCE(json_extract(p.keys, '$[9]'), 0) AS email_verified, COALESCE(json_extract(p.keys, '$[10]'), 0) AS phone_verified
    FROM identities p WHERE p.position = 0;

CREATE TRIGGER search_of_new AFTER INSERT ON identities BEGIN
    DELETE FROM search_users WHERE user_id = NEW.user_id;
    INSERT INTO search_users SELECT * FROM search_sources WHERE user_id = NEW.user_id;
    DELETE FROM search_activity WHERE user_id = NEW.user_id;
    INSERT INTO search_activity SELECT NEW.user_id, MAX(last_login), SUM(logins_count) FROM identities WHERE user_id = NEW.user_id;
END;

CREATE TRIGGER search_of_login AFTER UPDATE OF last_login, logins_count ON identities
    WHEN NEW.last_login >= OLD.last_login BEGIN
    UPDATE search_activity SET last_login = MAX(last_login, NEW.last_login),
        logins_count = logins_count + NEW.logins_count - OLD.logins_count
    WHERE user_id = NEW.user_id;
END;

CREATE TRIGGER search_of_forgotten AFTER UPDATE OF last_login, logins_count ON identities
    WHEN NEW.last_login < OLD.last_login BEGIN
    UPDATE search_activity SET last_login = (SELECT MAX(i.last_login) FROM identities i WHERE i.user_id = NEW.user_id),
        logins_count = logins_count + NEW.logins_count - OLD.logins_count
    WHERE user_id = NEW.user_id;
END;

CREATE TRIGGER search_of_changed AFTER UPDATE OF keys, root_keys ON identities
    WHEN NEW.position = 0 AND (NEW.keys <> OLD.keys OR NEW.root_keys <> OLD.root_keys) BEGIN
    DELETE FROM search_users WHERE user_id = NEW.user_id;
    INSERT INTO search_users SELECT * FROM search_sources WHERE user_id = NEW.user_id;
END;

-- An identity is given to another user. Whoever is left without identities is about to be deleted.
CREATE TRIGGER search_of_moved AFTER UPDATE OF user_id, position ON identities BEGIN
    DELETE FROM search_users WHERE user_id IN (OLD.user_id, NEW.user_id);
    INSERT INTO search_users SELECT * FROM search_sources WHERE user_id IN (OLD.user_id, NEW.user_id);
    DELETE FROM search_activity WHERE user_id IN (OLD.user_id, NEW.user_id);
    INSERT INTO search_activity SELECT user_id, MAX(last_login), SUM(logins_count) FROM identities
        WHERE user_id IN (OLD.user_id, NEW.user_id) GROUP BY user_id;
END;
