-- The key of a fleet for tags of what recordings blot out: equal secrets have equal tags on all its nodes.
CREATE TABLE redaction_keys (
    fleet TEXT COLLATE "C" PRIMARY KEY,
    key BYTEA NOT NULL CHECK (length(key) = 32)
);
