//! The event log of a stream, from which a client resumes with `Last-Event-ID`.

use std::sync::Arc;

use bytes::Bytes;

/// What a stream is, written when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// The JSON text of the id of the request it answers; absent for a GET stream.
    pub request_id: Option<Arc<str>>,
    /// The boot of the node that writes it. Its lease is renewed while it lives.
    pub writer: Arc<str>,
}

/// One event as the client saw it, without its `id:` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Dense, from 1.
    pub seq: u64,
    /// The upstream's own id of it, by which the upstream stream can be resumed.
    pub upstream_id: Option<Bytes>,
    /// The event's lines, blank line included.
    pub lines: Bytes,
}

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamState {
    /// Its writer reads the upstream and is alive.
    Live,
    /// Its writer is gone without a word: what it was reading is lost.
    Orphaned,
    /// The upstream closed it before an answer; it may be resumed there.
    Paused,
    /// The answer is in the log.
    Complete,
}

/// A piece of a stream.
#[derive(Debug, Clone)]
pub struct StreamPage {
    /// What it is.
    pub head: StreamHead,
    /// Events in order.
    pub events: Vec<Event>,
    /// Where it stands.
    pub state: StreamState,
    /// True if events after the one asked for have already fallen out of the log.
    pub gap: bool,
    /// The upstream's id of the last event that had one.
    pub upstream_event_id: Option<Bytes>,
}
