-- Times are microseconds since 1970. What repeats (names of fleets, nodes, routes, tools, …) is the id of a word, so that the row of
-- a frame is about a hundred bytes.

-- No number is given again. `let_go` says that a segment has let go of it, or that it is new, and nobody has looked since whether
-- anything refers to it.
CREATE TABLE words (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    word TEXT NOT NULL UNIQUE,
    let_go INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE INDEX words_let_go ON words (id) WHERE let_go = 1;

-- The words that frames of a segment have.
CREATE TABLE word_uses (
    segment INTEGER NOT NULL,
    word INTEGER NOT NULL,
    PRIMARY KEY (segment, word)
) STRICT, WITHOUT ROWID;

CREATE INDEX word_uses_of_words ON word_uses (word);

-- One boot of a node: two nodes that claim one instance are two sources. `ended` is the place of its last record, once that is
-- here. Segments below `kept_from` were deleted.
CREATE TABLE sources (
    number INTEGER PRIMARY KEY,
    fleet INTEGER NOT NULL,
    instance TEXT NOT NULL,
    node INTEGER NOT NULL,
    segments INTEGER NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0,
    stored_bytes INTEGER NOT NULL DEFAULT 0,
    plain_bytes INTEGER NOT NULL DEFAULT 0,
    repeated INTEGER NOT NULL DEFAULT 0,
    first_at INTEGER,
    last_at INTEGER,
    ended INTEGER,
    kept_from INTEGER NOT NULL DEFAULT 1,
    UNIQUE (fleet, instance, node)
) STRICT;

-- `digest` is that of the bytes as they were offered. What came under a number that other bytes have is a `twin`: its bytes are kept, and
-- it has no frames.
CREATE TABLE segments (
    number INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES sources (number),
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    twin INTEGER NOT NULL DEFAULT 0,
    first_record INTEGER NOT NULL,
    last_record INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    plain_bytes INTEGER NOT NULL,
    lost_bytes INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    object TEXT NOT NULL,
    UNIQUE (source, sequence, digest)
) STRICT;

CREATE INDEX segments_by_time ON segments (last_at);

-- `began` is the time of the first frame that came, and is never changed: by it tapes are listed, and each keeps its place there while it
-- is recorded.
CREATE TABLE tapes (
    number INTEGER PRIMARY KEY,
    fleet INTEGER NOT NULL,
    id TEXT NOT NULL,
    began INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    route INTEGER,
    session TEXT,
    principal INTEGER,
    held INTEGER NOT NULL DEFAULT 0,
    UNIQUE (fleet, id)
) STRICT;

CREATE INDEX tapes_by_beginning ON tapes (fleet, began, number);
-- A tape that began long ago may have gone on until now: those of late are found by their last frame.
CREATE INDEX tapes_by_end ON tapes (fleet, last_at);
CREATE INDEX tapes_of_principals ON tapes (principal) WHERE principal IS NOT NULL;
CREATE INDEX tapes_of_routes ON tapes (route) WHERE route IS NOT NULL;

CREATE TABLE tape_sources (
    tape INTEGER NOT NULL,
    source INTEGER NOT NULL,
    PRIMARY KEY (tape, source)
) STRICT, WITHOUT ROWID;

-- In the order of time, because most questions are about the latest. `place` counts plain bytes of its segment.
CREATE TABLE frames (
    fleet INTEGER NOT NULL,
    at INTEGER NOT NULL,
    source INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    place INTEGER NOT NULL,
    tape INTEGER,
    kind INTEGER NOT NULL,
    direction INTEGER,
    method INTEGER,
    name INTEGER,
    outcome INTEGER,
    code INTEGER,
    latency INTEGER,
    size INTEGER NOT NULL,
    route INTEGER,
    upstream INTEGER,
    endpoint INTEGER,
    session TEXT,
    principal INTEGER,
    trace BLOB,
    era INTEGER,
    version INTEGER,
    operation INTEGER,
    recording INTEGER,
    PRIMARY KEY (fleet, at, source, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX frames_of_calls ON frames (fleet, name, outcome, at, source, seq) WHERE outcome IS NOT NULL;
-- Outcomes from 4 on did not end well: few, so that those among many are found at once.
CREATE INDEX frames_of_failures ON frames (fleet, outcome, at, source, seq) WHERE outcome >= 4;
CREATE INDEX frames_of_tapes ON frames (tape, source, seq) WHERE tape IS NOT NULL;
CREATE INDEX frames_of_sessions ON frames (fleet, session, at) WHERE session IS NOT NULL;
CREATE INDEX frames_of_principals ON frames (fleet, principal, at) WHERE principal IS NOT NULL;
CREATE INDEX frames_of_traces ON frames (fleet, trace, at) WHERE trace IS NOT NULL;

-- Requests whose answer is in no segment so far, and answers whose request is in none (`answered` = 1, without a time).
CREATE TABLE open_calls (
    source INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    fleet INTEGER NOT NULL,
    at INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    PRIMARY KEY (source, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX open_calls_by_time ON open_calls (fleet, at) WHERE answered = 0;

-- What is missing of `source` between two records. `said_by` is the segment that tells, and `from_segment` to `to_segment` are those
-- of `source` that were dropped, if they are known.
CREATE TABLE gaps (
    source INTEGER NOT NULL,
    after INTEGER NOT NULL,
    before INTEGER NOT NULL,
    frames INTEGER,
    why TEXT NOT NULL,
    detail TEXT NOT NULL,
    instance TEXT,
    from_segment INTEGER,
    to_segment INTEGER,
    said_by INTEGER NOT NULL
) STRICT;

CREATE INDEX gaps_of_sources ON gaps (source, after);
CREATE INDEX gaps_of_segments ON gaps (said_by);

-- Messages that are kept apart. Each counts to one of the recordings that refer to it, and to none while all that does is on hold.
CREATE TABLE messages (
    fleet INTEGER NOT NULL,
    hash BLOB NOT NULL,
    stored_bytes INTEGER NOT NULL,
    recording INTEGER,
    PRIMARY KEY (fleet, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE message_uses (
    fleet INTEGER NOT NULL,
    hash BLOB NOT NULL,
    segment INTEGER NOT NULL,
    recording INTEGER NOT NULL,
    PRIMARY KEY (fleet, hash, segment, recording)
) STRICT, WITHOUT ROWID;

CREATE INDEX message_uses_of_segments ON message_uses (segment);
