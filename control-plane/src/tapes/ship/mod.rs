//! How recorded traffic comes from nodes.
//!
//! - [`mod@line`]: what is wanted of one node and when, as a pure state machine.
//! - [`offer`]: what may be offered at all.
//! - [`stream`]: drives a line over one stream.
//! - [`ingest`]: makes a segment durable, bytes first and rows then.
//! - [`writer`]: gathers what many streams bring into few transactions.
//!
//! Invariant: a node hears `stored` when its bytes and its rows are durable, and not before. While the place for bytes or the
//! database is away, nothing is acknowledged and nothing more is wanted: nodes keep what they have.

pub(crate) mod ingest;
mod line;
mod offer;
pub(crate) mod stream;
pub(crate) mod writer;
