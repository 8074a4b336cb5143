-- The key of a fleet for tags of what recordings blot out: equal secrets have equal tags on all its nodes.
CREATE TABLE redaction_keys (
    fleet TEXT PRIMARY KEY,
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;
