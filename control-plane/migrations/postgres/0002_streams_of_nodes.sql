-- Streams of a node are counted, at whichever replica they are, so that a note of one that is not the last is known by its number.
-- 0 stands for a stream that has no number yet.
ALTER TABLE nodes ADD COLUMN stream BIGINT NOT NULL DEFAULT 1;
