-- What operators made through the management API. One text for both databases, as in 0001.

CREATE TABLE objects (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    name       TEXT, -- unique among those of the kind, where there is one
    body       TEXT, -- JSON; NULL: deleted, and kept so that every node hears of it
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE UNIQUE INDEX objects_by_name ON objects (kind, name) WHERE name IS NOT NULL;
CREATE UNIQUE INDEX objects_by_version ON objects (version);

-- The number of the newest change. Whoever changes objects holds this row, so that versions appear in their order.
CREATE TABLE objects_version (
    one     BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

INSERT INTO objects_version (one, version) VALUES (1, 0);
