//! What an index takes: segments that are offered, and their rows.

use std::collections::BTreeSet;

use shadowcat_tape::segment::SegmentId;

/// What a row costs that is looked up or written by itself, in rows of frames: a statement or two, against a part of one.
const SINGLE_ROW_WEIGHT: usize = 4;

/// A segment that a node offers: one of another node that has the same instance is another segment.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// The fleet, by the certificate of who offers it.
    pub fleet: &'a str,
    /// The node, by the same.
    pub node: &'a str,
    /// Its instance and its number there.
    pub id: &'a SegmentId,
    /// BLAKE3 of its bytes.
    pub digest: &'a [u8; 32],
    /// Messages that it says are kept apart from it.
    pub messages: &'a [[u8; 32]],
}

/// What is known of a segment that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It is here; that it came again is counted.
    Stored,
    /// It is not, and neither are these of its messages.
    Missing(Vec<[u8; 32]>),
}

/// What became of a segment that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is stored.
    New,
    /// It was stored already.
    Again,
    /// It is not: other bytes are stored under its number. It can be kept [`unread`](SegmentRows::unread).
    Taken,
}

/// Why nothing of a segment is found, though its bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// This build cannot make rows of it, or the database will not have them.
    NotIndexed,
    /// Other bytes came before under its number: two machines use one data directory, or one was set back.
    Twin,
}

impl Unread {
    /// As gaps and metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotIndexed => "not_indexed",
            Self::Twin => "twin",
        }
    }
}

/// One segment as rows. Words are places in `words`, and tapes are places in `tapes`, so that a batch looks each up once.
#[derive(Debug, Clone, Default)]
pub struct SegmentRows {
    /// The fleet, by the certificate of who shipped it.
    pub fleet: String,
    /// The node, by the same.
    pub node: String,
    /// The boot of the node that recorded it.
    pub instance: String,
    /// Its number within the instance.
    pub sequence: u64,
    /// BLAKE3 of its bytes as they came.
    pub digest: [u8; 32],
    /// Why it has no frames, if it is kept as bytes alone.
    pub unread: Option<Unread>,
    /// The place of its first record; 0 if nobody knows.
    pub first_record: u64,
    /// The place of its last record; 0 if nobody knows.
    pub last_record: u64,
    /// Bytes as they are stored.
    pub stored_bytes: u64,
    /// Bytes before compression.
    pub plain_bytes: u64,
    /// Bytes that could not be read.
    pub lost_bytes: u64,
    /// When its first record was made: microseconds since 1970.
    pub first_at: i64,
    /// When its last one was.
    pub last_at: i64,
    /// Its key in the place for bytes.
    pub object: String,
    /// The place of the instance's last record, if it is in here.
    pub ended: Option<u64>,
    /// What repeats.
    pub words: Vec<String>,
    /// The tapes it has frames of.
    pub tapes: Vec<TapeRow>,
    /// Its frames, by their place.
    pub frames: Vec<FrameRow>,
    /// What is missing.
    pub gaps: Vec<GapRow>,
    /// Messages that are kept apart: hash and stored bytes.
    pub messages: Vec<([u8; 32], u64)>,
    /// Which of them frames refer to, each with the recording of such a frame.
    pub uses: BTreeSet<([u8; 32], Word)>,
    /// Requests that are not answered in here: the place and the time of each.
    pub unanswered: Vec<(u64, i64)>,
    /// Requests that are not in here and are answered in here.
    pub answered: Vec<u64>,
}

impl SegmentRows {
    /// The same segment as bytes alone, with a gap in the place of its records. Its messages stay, for whoever reads the bytes.
    #[must_use]
    pub fn unread(self, unread: Unread, detail: &str) -> Self {
        let frames = (self.last_record > 0).then(|| (self.last_record - self.first_record).saturating_add(1));
        let gap = GapRow {
            after: self.first_record.saturating_sub(1),
            before: if self.last_record > 0 { self.last_record.saturating_add(1) } else { 0 },
            frames,
            why: unread.as_str().to_owned(),
            detail: format!(
                "segment {} is kept in {}, and nothing of it is found: {detail}",
                self.sequence, self.object
            ),
            ..GapRow::default()
        };
        Self {
            unread: Some(unread),
            lost_bytes: self.plain_bytes.max(self.stored_bytes),
            // That of a twin is not the end of the other.
            ended: self.ended.filter(|_| unread != Unread::Twin),
            words: Vec::new(),
            tapes: Vec::new(),
            frames: Vec::new(),
            gaps: vec![gap],
            unanswered: Vec::new(),
            answered: Vec::new(),
            ..self
        }
    }

    /// How much work it is to commit: rows that are written one by one weigh more than frames, which go in by dozens.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.frames.len() + SINGLE_ROW_WEIGHT * self.single_rows()
    }

    /// Rows that are looked up or written one by one.
    pub(crate) fn single_rows(&self) -> usize {
        let calls = self.unanswered.len() + self.answered.len();
        self.words.len() + self.tapes.len() + calls + self.gaps.len() + self.messages.len()
    }
}

/// A word of a segment: its place in [`SegmentRows::words`].
pub type Word = Option<u32>;

/// A frame of a segment.
#[derive(Debug, Clone, Default)]
pub struct FrameRow {
    /// When: microseconds since 1970.
    pub at: i64,
    /// Its place in the order of its instance.
    pub seq: u64,
    /// Plain bytes before it in its segment.
    pub place: u64,
    /// Its place in [`SegmentRows::tapes`].
    pub tape: Option<u32>,
    /// As [`codes`](super::codes) has it.
    pub kind: i16,
    /// As [`codes`](super::codes) has it.
    pub direction: Option<i16>,
    /// The method.
    pub method: Word,
    /// The tool, prompt or resource.
    pub name: Word,
    /// How the call ended that this frame ends, as [`codes`](super::codes) has it.
    pub outcome: Option<i16>,
    /// The code of a JSON-RPC error.
    pub code: Option<i64>,
    /// From request to answer, in microseconds.
    pub latency: Option<u64>,
    /// Bytes of the message as it was received.
    pub size: u64,
    /// The route.
    pub route: Word,
    /// The upstream.
    pub upstream: Word,
    /// The upstream's endpoint.
    pub endpoint: Word,
    /// The beginning of the session's id.
    pub session: Option<String>,
    /// Who called.
    pub principal: Word,
    /// The trace: 16 bytes.
    pub trace: Option<[u8; 16]>,
    /// The protocol version.
    pub era: Word,
    /// The configuration's version.
    pub version: Option<u64>,
    /// The record that opened the operation.
    pub operation: Option<u64>,
    /// Whose retention it has.
    pub recording: Word,
}

/// What a segment has of a tape.
#[derive(Debug, Clone, Default)]
pub struct TapeRow {
    /// Its id.
    pub id: String,
    /// Its first frame, in microseconds since 1970.
    pub first_at: i64,
    /// Its last.
    pub last_at: i64,
    /// Frames.
    pub frames: u64,
    /// Calls that ended.
    pub calls: u64,
    /// Those that did not end well.
    pub errors: u64,
    /// Bytes of its messages as they were received.
    pub bytes: u64,
    /// The route, where one is known.
    pub route: Word,
    /// The session, where there is one.
    pub session: Option<String>,
    /// Who called, where it is known.
    pub principal: Word,
}

/// Something that is missing between two records of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GapRow {
    /// The record before it; 0 at the beginning.
    pub after: u64,
    /// The record behind it; 0 at the end.
    pub before: u64,
    /// How many frames, if it is known.
    pub frames: Option<u64>,
    /// As in `queue_full` or `corrupt`.
    pub why: String,
    /// For a person.
    pub detail: String,
    /// The instance it is of, if it is not the segment's own.
    pub instance: Option<String>,
    /// The segments that were dropped.
    pub segments: Option<(u64, u64)>,
}
