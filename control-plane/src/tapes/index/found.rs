//! What an index is asked, and what it gives.

use super::GapRow;

/// Where a search is: everything before it in time, or at its time and before it in order, is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Microseconds since 1970.
    pub at: i64,
    /// The source, as the index numbers it.
    pub source: i64,
    /// The place in the source.
    pub seq: u64,
}

/// Which frames are meant. What is empty or absent says nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The fleet.
    pub fleet: String,
    /// From then on: microseconds since 1970.
    pub since: Option<i64>,
    /// Until before then.
    pub until: Option<i64>,
    /// Ids of tapes, or of frames for their operations: one of them.
    pub ids: Vec<String>,
    /// The route.
    pub route: String,
    /// The upstream.
    pub upstream: String,
    /// The node.
    pub node: String,
    /// Who called.
    pub principal: String,
    /// The beginning of a session's id, as it is recorded.
    pub session: String,
    /// The trace.
    pub trace: Option<[u8; 16]>,
    /// The method.
    pub method: String,
    /// The tool, prompt or resource; `*` stands for anything.
    pub name: String,
    /// Outcomes, as [`codes`](super::codes) has them: one of them.
    pub outcomes: Vec<i16>,
    /// At least so long, in microseconds.
    pub latency: u64,
    /// At least so large, in bytes.
    pub size: u64,
}

/// Which of the frames that a filter fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Those that end a call, and requests without an answer.
    Calls,
    /// All of them.
    Frames,
}

/// A frame as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundFrame {
    /// Microseconds since 1970.
    pub at: i64,
    /// The source, as the index numbers it.
    pub source: i64,
    /// Its place in the source.
    pub seq: u64,
    /// The segment, as the index numbers it.
    pub segment: i64,
    /// Plain bytes before it in its segment.
    pub place: u64,
    /// The tape.
    pub tape: String,
    /// The node.
    pub node: String,
    /// The boot of the node.
    pub instance: String,
    /// As [`codes`](super::codes) has it.
    pub kind: i16,
    /// As [`codes`](super::codes) has it.
    pub direction: Option<i16>,
    /// The method.
    pub method: String,
    /// The tool, prompt or resource.
    pub name: String,
    /// As [`codes`](super::codes) has it.
    pub outcome: Option<i16>,
    /// The code of a JSON-RPC error.
    pub code: Option<i64>,
    /// From request to answer, in microseconds.
    pub latency: Option<u64>,
    /// Bytes of the message as it was received.
    pub size: u64,
    /// The route.
    pub route: String,
    /// The upstream.
    pub upstream: String,
    /// The upstream's endpoint.
    pub endpoint: String,
    /// The beginning of the session's id.
    pub session: String,
    /// Who called.
    pub principal: String,
    /// The trace.
    pub trace: Option<Vec<u8>>,
    /// The protocol version.
    pub era: String,
    /// The configuration's version.
    pub version: Option<u64>,
    /// The record that opened the operation.
    pub operation: Option<u64>,
}

impl FoundFrame {
    /// Where a search stands that has come to this frame.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position { at: self.at, source: self.source, seq: self.seq }
    }
}

/// A tape as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundTape {
    /// As the index numbers it.
    pub number: i64,
    /// Its id.
    pub id: String,
    /// When it began, as it was first known: its place among tapes, which does not change while it is recorded.
    pub began: i64,
    /// Its first frame: microseconds since 1970.
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
    /// The route.
    pub route: String,
    /// The session.
    pub session: String,
    /// Who called.
    pub principal: String,
    /// The nodes that recorded it, by name.
    pub nodes: Vec<String>,
    /// It is kept, whatever its recording says.
    pub held: bool,
}

/// A segment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSegment {
    /// As the index numbers it.
    pub number: i64,
    /// Its key in the place for bytes.
    pub object: String,
    /// Bytes that could not be read when it came.
    pub lost_bytes: u64,
}

/// How much there is to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Segments.
    pub segments: u64,
    /// Their first and last record, in microseconds since 1970; absent without a segment.
    pub times: Option<(i64, i64)>,
}

/// What is kept of a fleet, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tapes.
    pub tapes: u64,
    /// Messages that are kept apart.
    pub messages: u64,
    /// Their bytes as they are stored.
    pub message_bytes: u64,
}

/// What is kept of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundSource {
    /// The node.
    pub node: String,
    /// This boot of it.
    pub instance: String,
    /// Segments.
    pub segments: u64,
    /// Frames.
    pub frames: u64,
    /// Bytes as they are stored.
    pub stored_bytes: u64,
    /// Bytes before compression.
    pub plain_bytes: u64,
    /// Segments that came again.
    pub repeated: u64,
    /// Its first record: microseconds since 1970.
    pub first_at: Option<i64>,
    /// Its last.
    pub last_at: Option<i64>,
    /// The place of its last record, once that is here.
    pub ended: Option<u64>,
    /// The place of the last record that is here.
    pub last_record: u64,
    /// What is missing of it.
    pub gaps: Vec<GapRow>,
}
