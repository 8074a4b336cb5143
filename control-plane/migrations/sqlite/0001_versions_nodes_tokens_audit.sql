-- Times are milliseconds since 1970. Hashes and digests are SHA-256.

CREATE TABLE epoch (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL
) STRICT;

CREATE TABLE authority (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    certificate BLOB NOT NULL,
    private_key BLOB NOT NULL
) STRICT;

-- `head` is the number of the newest version: 0 while there is none.
CREATE TABLE fleets (
    name TEXT PRIMARY KEY,
    head INTEGER NOT NULL DEFAULT 0
) STRICT;

-- `content` is the last column: what precedes it is read without its pages.
CREATE TABLE versions (
    fleet TEXT NOT NULL REFERENCES fleets (name),
    number INTEGER NOT NULL CHECK (number > 0),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    parent INTEGER NOT NULL,
    author TEXT NOT NULL,
    message TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    routes INTEGER NOT NULL,
    upstreams INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (fleet, number)
) STRICT;

CREATE TRIGGER versions_are_not_changed BEFORE UPDATE ON versions
BEGIN SELECT RAISE(ABORT, 'versions are append-only'); END;
CREATE TRIGGER versions_are_not_deleted BEFORE DELETE ON versions
BEGIN SELECT RAISE(ABORT, 'versions are append-only'); END;

CREATE TABLE nodes (
    fleet TEXT NOT NULL REFERENCES fleets (name),
    name TEXT NOT NULL,
    joined_at INTEGER NOT NULL,
    certificate_expires_at INTEGER NOT NULL,
    removed_at INTEGER,
    last_seen INTEGER,
    instance TEXT NOT NULL DEFAULT '',
    build TEXT NOT NULL DEFAULT '',
    labels TEXT NOT NULL DEFAULT '[]',
    version INTEGER NOT NULL DEFAULT 0,
    refused_version INTEGER,
    refusal TEXT,
    PRIMARY KEY (fleet, name)
) STRICT;

CREATE TABLE join_tokens (
    hash BLOB PRIMARY KEY,
    fleet TEXT NOT NULL REFERENCES fleets (name),
    uses INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE admin_tokens (
    hash BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    expires_at INTEGER
) STRICT;

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    fleet TEXT NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    verb TEXT NOT NULL,
    resource TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX audit_of_a_fleet ON audit (fleet, sequence);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit records are append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit records are append-only'); END;
