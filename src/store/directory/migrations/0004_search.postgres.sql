-- What users are searched by. As 0004_search.sqlite.sql, in PostgreSQL's words: there it says what the tables are for.
--
-- The texts that are searched sort by their octets, as in SQLite, so that prefixes are ranges in any locale.

ALTER TABLE identities ADD COLUMN keys TEXT NOT NULL DEFAULT '[]';
ALTER TABLE identities ADD COLUMN root_keys TEXT NOT NULL DEFAULT '[]';

CREATE TABLE search_users (
    user_id        TEXT NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    email          TEXT COLLATE "C",
    domain         TEXT COLLATE "C",
    name           TEXT COLLATE "C",
    given_name     TEXT COLLATE "C",
    family_name    TEXT COLLATE "C",
    nickname       TEXT COLLATE "C",
    username       TEXT COLLATE "C",
    phone_number   TEXT COLLATE "C",
    picture        TEXT COLLATE "C",
    email_verified BIGINT NOT NULL,
    phone_verified BIGINT NOT NULL
);

CREATE INDEX search_users_in_order ON search_users (user_id COLLATE "C");
CREATE INDEX search_users_by_email ON search_users (email);
CREATE INDEX search_users_by_domain ON search_users (domain);
CREATE INDEX search_users_by_name ON search_users (name);
CREATE INDEX search_users_by_given_name ON search_users (given_name);
CREATE INDEX search_users_by_family_name ON search_users (family_name);
CREATE INDEX search_users_by_nickname ON search_users (nickname);
CREATE INDEX search_users_by_username ON search_users (username);

-- Each login writes here: short rows, with room for their next versions in the same page.
CREATE TABLE search_activity (
    user_id      TEXT NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    last_login   BIGINT NOT NULL,
    logins_count BIGINT NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX search_activity_by_last_login ON search_activity (last_login, user_id COLLATE "C");
CREATE INDEX search_activity_by_logins_count ON search_activity (logins_count, user_id COLLATE "C");

CREATE TABLE search_values (
    user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    path    TEXT COLLATE "C" NOT NULL,
    place   BIGINT NOT NULL,
    text    TEXT COLLATE "C" NOT NULL,
    number  DOUBLE PRECISION
);

CREATE INDEX search_values_by_user ON search_values (user_id);
CREATE INDEX search_values_by_text ON search_values (path, text);
CREATE INDEX search_values_by_number ON search_values (path, number) WHERE number IS NOT NULL;

CREATE INDEX users_by_creation ON users (created_at, user_id COLLATE "C");
CREATE INDEX users_blocked ON users (user_id) WHERE blocked = 1;

CREATE VIEW search_sources AS
    SELECT p.user_id,
        p.keys::json ->> 0 AS email, p.keys::json ->> 1 AS domain,
        COALESCE(p.root_keys::json ->> 0, p.keys::json ->> 2) AS name,
        COALESCE(p.root_keys::json ->> 1, p.keys::json ->> 3) AS given_name,
        COALESCE(p.root_keys::json ->> 2, p.keys::json ->> 4) AS family_name,
        COALESCE(p.root_keys::json ->> 3, p.keys::json ->> 5) AS nickname,
        p.keys::json ->> 6 AS username, p.keys::json ->> 7 AS phone_number,
        COALESCE(p.root_keys::json ->> 4, p.keys::json ->> 8) AS picture,
        COALESCE((p.keys::json ->> 9)::BIGINT, 0) AS email_verified, COALESCE((p.keys::json ->> 10)::BIGINT, 0) AS phone_verified
    FROM identities p WHERE p.position = 0;

-- What a search sees of a user, anew. The row is held first, so that what is then read is newer than all who held it before.
CREATE FUNCTION search_again(who TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM search_activity a WHERE a.user_id = who FOR UPDATE;
    INSERT INTO search_activity
        SELECT i.user_id, MAX(i.last_login), SUM(i.logins_count) FROM identities i WHERE i.user_id = who GROUP BY i.user_id
        ON CONFLICT (user_id) DO UPDATE SET last_login = excluded.last_login, logins_count = excluded.logins_count;
    DELETE FROM search_users s WHERE s.user_id = who;
    INSERT INTO search_users SELECT s.* FROM search_sources s WHERE s.user_id = who;
END
$$;

CREATE FUNCTION search_of_identity() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.user_id <> NEW.user_id THEN
        PERFORM search_again(OLD.user_id);
    END IF;
    PERFORM search_again(NEW.user_id);
    RETURN NULL;
END
$$;

CREATE FUNCTION search_of_login() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE search_activity SET last_login = GREATEST(last_login, NEW.last_login),
        logins_count = logins_count + NEW.logins_count - OLD.logins_count
    WHERE user_id = NEW.user_id;
    RETURN NULL;
END
$$;

CREATE FUNCTION search_of_keys() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    -- Whoever is in search_again is about to put another row in the place of this one.
    PERFORM 1 FROM search_activity a WHERE a.user_id = NEW.user_id FOR UPDATE;
    UPDATE search_users s SET (email, domain, name, given_name, family_name, nickname, username, phone_number, picture,
            email_verified, phone_verified) =
        (SELECT n.email, n.domain, n.name, n.given_name, n.family_name, n.nickname, n.username, n.phone_number, n.picture,
            n.email_verified, n.phone_verified FROM search_sources n WHERE n.user_id = NEW.user_id)
    WHERE s.user_id = NEW.user_id;
    RETURN NULL;
END
$$;

-- At the end of each transaction: then everything else is locked already, and nobody waits for another in a circle.
CREATE CONSTRAINT TRIGGER search_of_new AFTER INSERT ON identities DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION search_of_identity();

CREATE CONSTRAINT TRIGGER search_of_login AFTER UPDATE OF last_login, logins_count ON identities DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.last_login >= OLD.last_login) EXECUTE FUNCTION search_of_login();

CREATE CONSTRAINT TRIGGER search_of_changed AFTER UPDATE OF keys, root_keys ON identities DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.position = 0 AND (NEW.keys <> OLD.keys OR NEW.root_keys <> OLD.root_keys))
    EXECUTE FUNCTION search_of_keys();

CREATE CONSTRAINT TRIGGER search_of_moved AFTER UPDATE OF user_id, position, last_login ON identities DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.user_id <> OLD.user_id OR NEW.position <> OLD.position OR NEW.last_login < OLD.last_login)
    EXECUTE FUNCTION search_of_identity();
