-- What was deleted, and what is still to be done for it.

-- `removed`, below, says of any segment what `kept_from` said of the first ones. `gone` counts lines of an object whose frames are not
-- in the index any more, and `rewrite` says that the object is to be written anew without them.
ALTER TABLE sources DROP COLUMN kept_from;
ALTER TABLE segments ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE segments ADD COLUMN rewrite INTEGER NOT NULL DEFAULT 0;

CREATE INDEX segments_to_rewrite ON segments (number) WHERE rewrite = 1;
CREATE INDEX segments_by_object ON segments (object);

-- What each recording (0 for none) has of a segment: the unit in which traffic is forgotten. `stored_bytes` is its part of the segment's
-- object; messages that are kept apart count for themselves. `held` says that all that is left is of tapes on hold.
CREATE TABLE shares (
    segment INTEGER NOT NULL,
    recording INTEGER NOT NULL,
    fleet INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (segment, recording)
) STRICT, WITHOUT ROWID;

CREATE INDEX shares_by_time ON shares (fleet, recording, last_at, segment, stored_bytes) WHERE held = 0;
CREATE INDEX shares_on_hold ON shares (fleet) WHERE held = 1;

INSERT INTO shares (segment, recording, fleet, last_at, frames, stored_bytes)
SELECT f.segment, coalesce(f.recording, 0), f.fleet, max(f.at), count(*), max(g.stored_bytes) * count(*) / max(g.frames)
FROM frames f JOIN segments g ON g.number = f.segment GROUP BY f.segment, coalesce(f.recording, 0), f.fleet;
INSERT INTO shares (segment, recording, fleet, last_at, frames, stored_bytes)
SELECT g.number, 0, s.fleet, g.last_at, 0, g.stored_bytes FROM segments g JOIN sources s ON s.number = g.source
WHERE NOT EXISTS (SELECT 1 FROM shares h WHERE h.segment = g.number);

-- What a configuration last said of a recording: it may be gone from the newest one, and what was recorded under its name is not.
CREATE TABLE retentions (
    fleet INTEGER NOT NULL,
    recording INTEGER NOT NULL,
    keep INTEGER NOT NULL,
    max_size INTEGER,
    PRIMARY KEY (fleet, recording)
) STRICT, WITHOUT ROWID;

-- Segments that were deleted, in runs. They are not taken again, and nobody misses them.
CREATE TABLE removed (
    source INTEGER NOT NULL,
    from_segment INTEGER NOT NULL,
    to_segment INTEGER NOT NULL,
    first_record INTEGER NOT NULL,
    last_record INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (source, from_segment)
) STRICT, WITHOUT ROWID;

-- Objects that no row refers to. Each goes once its time has come, and its row after it. `taken` is when whoever deletes began with it: it may
-- be gone since.
CREATE TABLE discarded (
    object TEXT NOT NULL PRIMARY KEY,
    due INTEGER NOT NULL,
    taken INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX discarded_by_time ON discarded (due);

-- Since when no segment refers to a message, and no node has offered it.
ALTER TABLE messages ADD COLUMN unused_since INTEGER;

CREATE INDEX messages_unused ON messages (unused_since) WHERE unused_since IS NOT NULL;
CREATE INDEX messages_of_recordings ON messages (fleet, recording, stored_bytes) WHERE unused_since IS NULL;
