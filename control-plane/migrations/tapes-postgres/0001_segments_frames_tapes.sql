-- In a schema of its own (`shadowcat_tapes`), beside the versions and nodes of the same database.
-- Times are microseconds since 1970. What repeats (names of fleets, nodes, routes, tools, …) is the id of a word, so that the row of
-- a frame is about a hundred bytes.

-- No number is given again. `let_go` says that a segment has let go of it, or that it is new, and nobody has looked since whether
-- anything refers to it.
CREATE TABLE words (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    word TEXT COLLATE "C" NOT NULL UNIQUE,
    let_go BIGINT NOT NULL DEFAULT 1
);

CREATE INDEX words_let_go ON words (id) WHERE let_go = 1;

-- The words that frames of a segment have.
CREATE TABLE word_uses (
    segment BIGINT NOT NULL,
    word BIGINT NOT NULL,
    PRIMARY KEY (segment, word)
);

CREATE INDEX word_uses_of_words ON word_uses (word);

-- One boot of a node: two nodes that claim one instance are two sources. `ended` is the place of its last record, once that is
-- here. Segments below `kept_from` were deleted.
CREATE TABLE sources (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fleet BIGINT NOT NULL,
    instance TEXT COLLATE "C" NOT NULL,
    node BIGINT NOT NULL,
    segments BIGINT NOT NULL DEFAULT 0,
    frames BIGINT NOT NULL DEFAULT 0,
    stored_bytes BIGINT NOT NULL DEFAULT 0,
    plain_bytes BIGINT NOT NULL DEFAULT 0,
    repeated BIGINT NOT NULL DEFAULT 0,
    first_at BIGINT,
    last_at BIGINT,
    ended BIGINT,
    kept_from BIGINT NOT NULL DEFAULT 1,
    UNIQUE (fleet, instance, node)
);

-- `digest` is that of the bytes as they were offered. What came under a number that other bytes have is a `twin`: its bytes are kept, and
-- it has no frames.
CREATE TABLE segments (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source BIGINT NOT NULL REFERENCES sources (number),
    sequence BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    twin BIGINT NOT NULL DEFAULT 0,
    first_record BIGINT NOT NULL,
    last_record BIGINT NOT NULL,
    frames BIGINT NOT NULL,
    stored_bytes BIGINT NOT NULL,
    plain_bytes BIGINT NOT NULL,
    lost_bytes BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    object TEXT COLLATE "C" NOT NULL,
    UNIQUE (source, sequence, digest)
);

CREATE INDEX segments_by_time ON segments (last_at);

-- `began` is the time of the first frame that came, and is never changed: by it tapes are listed, and each keeps its place there while it
-- is recorded.
CREATE TABLE tapes (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fleet BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    began BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    frames BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    route BIGINT,
    session TEXT COLLATE "C",
    principal BIGINT,
    held BIGINT NOT NULL DEFAULT 0,
    UNIQUE (fleet, id)
);

CREATE INDEX tapes_by_beginning ON tapes (fleet, began, number);
-- A tape that began long ago may have gone on until now: those of late are found by their last frame.
CREATE INDEX tapes_by_end ON tapes (fleet, last_at);
CREATE INDEX tapes_of_principals ON tapes (principal) WHERE principal IS NOT NULL;
CREATE INDEX tapes_of_routes ON tapes (route) WHERE route IS NOT NULL;

CREATE TABLE tape_sources (
    tape BIGINT NOT NULL,
    source BIGINT NOT NULL,
    PRIMARY KEY (tape, source)
);

-- In the order of time, because most questions are about the latest. `place` counts plain bytes of its segment.
CREATE TABLE frames (
    fleet BIGINT NOT NULL,
    at BIGINT NOT NULL,
    source BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    place BIGINT NOT NULL,
    tape BIGINT,
    kind SMALLINT NOT NULL,
    direction SMALLINT,
    method BIGINT,
    name BIGINT,
    outcome SMALLINT,
    code BIGINT,
    latency BIGINT,
    size BIGINT NOT NULL,
    route BIGINT,
    upstream BIGINT,
    endpoint BIGINT,
    session TEXT COLLATE "C",
    principal BIGINT,
    trace BYTEA,
    era BIGINT,
    version BIGINT,
    operation BIGINT,
    recording BIGINT,
    PRIMARY KEY (fleet, at, source, seq)
) PARTITION BY RANGE (at);

-- Days have partitions of their own, made ahead; this one takes what comes with a time that is none.
CREATE TABLE frames_of_no_day PARTITION OF frames DEFAULT;

CREATE INDEX frames_of_calls ON frames (fleet, name, outcome, at, source, seq) WHERE outcome IS NOT NULL;
-- Outcomes from 4 on did not end well: few, so that those among many are found at once.
CREATE INDEX frames_of_failures ON frames (fleet, outcome, at, source, seq) WHERE outcome >= 4;
CREATE INDEX frames_of_tapes ON frames (tape, source, seq) WHERE tape IS NOT NULL;
CREATE INDEX frames_of_sessions ON frames (fleet, session, at) WHERE session IS NOT NULL;
CREATE INDEX frames_of_principals ON frames (fleet, principal, at) WHERE principal IS NOT NULL;
CREATE INDEX frames_of_traces ON frames (fleet, trace, at) WHERE trace IS NOT NULL;

-- Requests whose answer is in no segment so far, and answers whose request is in none (`answered` = 1, without a time).
CREATE TABLE open_calls (
    source BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    fleet BIGINT NOT NULL,
    at BIGINT NOT NULL,
    answered BIGINT NOT NULL,
    PRIMARY KEY (source, seq)
);

CREATE INDEX open_calls_by_time ON open_calls (fleet, at) WHERE answered = 0;

-- What is missing of `source` between two records. `said_by` is the segment that tells, and `from_segment` to `to_segment` are those
-- of `source` that were dropped, if they are known.
CREATE TABLE gaps (
    source BIGINT NOT NULL,
    after BIGINT NOT NULL,
    before BIGINT NOT NULL,
    frames BIGINT,
    why TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    instance TEXT COLLATE "C",
    from_segment BIGINT,
    to_segment BIGINT,
    said_by BIGINT NOT NULL
);

CREATE INDEX gaps_of_sources ON gaps (source, after);
CREATE INDEX gaps_of_segments ON gaps (said_by);

-- Messages that are kept apart. Each counts to one of the recordings that refer to it, and to none while all that does is on hold.
CREATE TABLE messages (
    fleet BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    stored_bytes BIGINT NOT NULL,
    recording BIGINT,
    PRIMARY KEY (fleet, hash)
);

CREATE TABLE message_uses (
    fleet BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    segment BIGINT NOT NULL,
    recording BIGINT NOT NULL,
    PRIMARY KEY (fleet, hash, segment, recording)
);

CREATE INDEX message_uses_of_segments ON message_uses (segment);
