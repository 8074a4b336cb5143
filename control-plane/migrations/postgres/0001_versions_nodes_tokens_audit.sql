-- Times are milliseconds since 1970. Hashes and digests are SHA-256. Names sort by their bytes, whatever the database's locale.

CREATE TABLE epoch (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL
);

CREATE TABLE authority (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    certificate BYTEA NOT NULL,
    private_key BYTEA NOT NULL
);

-- `head` is the number of the newest version: 0 while there is none. Its row is what commits of one fleet wait for.
CREATE TABLE fleets (
    name TEXT COLLATE "C" PRIMARY KEY,
    head BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE versions (
    fleet TEXT COLLATE "C" NOT NULL REFERENCES fleets (name),
    number BIGINT NOT NULL CHECK (number > 0),
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    parent BIGINT NOT NULL,
    author TEXT NOT NULL,
    message TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    routes BIGINT NOT NULL,
    upstreams BIGINT NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (fleet, number)
);

CREATE TABLE nodes (
    fleet TEXT COLLATE "C" NOT NULL REFERENCES fleets (name),
    name TEXT COLLATE "C" NOT NULL,
    joined_at BIGINT NOT NULL,
    certificate_expires_at BIGINT NOT NULL,
    removed_at BIGINT,
    last_seen BIGINT,
    instance TEXT NOT NULL DEFAULT '',
    build TEXT NOT NULL DEFAULT '',
    labels TEXT NOT NULL DEFAULT '[]',
    version BIGINT NOT NULL DEFAULT 0,
    refused_version BIGINT,
    refusal TEXT,
    PRIMARY KEY (fleet, name)
);

CREATE TABLE join_tokens (
    hash BYTEA PRIMARY KEY,
    fleet TEXT COLLATE "C" NOT NULL REFERENCES fleets (name),
    uses BIGINT NOT NULL,
    used BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL
);

CREATE TABLE admin_tokens (
    hash BYTEA PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    expires_at BIGINT
);

CREATE TABLE audit (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    fleet TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    verb TEXT NOT NULL,
    resource TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE INDEX audit_of_a_fleet ON audit (fleet, sequence);

CREATE FUNCTION shadowcat_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

CREATE TRIGGER versions_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON versions
    FOR EACH STATEMENT EXECUTE FUNCTION shadowcat_append_only();
CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION shadowcat_append_only();

-- Wakes every replica when the transaction commits. What a node says of itself wakes nobody.
CREATE FUNCTION shadowcat_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('shadowcat_changes', '');
    RETURN NULL;
END $$;

CREATE TRIGGER versions_are_told AFTER INSERT ON versions
    FOR EACH STATEMENT EXECUTE FUNCTION shadowcat_tell();
CREATE TRIGGER nodes_are_told AFTER INSERT OR UPDATE OF joined_at, removed_at ON nodes
    FOR EACH STATEMENT EXECUTE FUNCTION shadowcat_tell();
