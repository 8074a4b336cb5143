//! What operators ask of tapes.
//!
//! - [`selection`]: which frames are meant, as it was asked for.
//! - [`judge`]: whether a frame's content is meant.
//! - [`facts`]: what an expression can ask about a frame.
//! - [`asked`]: the requests of the answers that are followed.
//! - [`segments`]: the segments that have to be opened for that.
//! - [`search`], [`read`], [`tail`]: the three ways through frames.
//! - [`missing`]: what is kept and what is not there.
//!
//! Invariants: what the index can answer opens no segment; what opens segments is bounded in number and time, says how far it came,
//! and goes on exactly there; a search ends when whoever asked is gone.

mod asked;
mod facts;
mod judge;
pub(crate) mod missing;
pub(crate) mod read;
pub(crate) mod search;
mod segments;
pub(crate) mod selection;
pub(crate) mod tail;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pbjson_types::Timestamp;
use shadowcat_proto::admin::v1::Frame;
use tonic::Status;

use super::index::{FoundFrame, Position, codes};

/// Of an instance's id, in the id of a frame.
const INSTANCE_CHARS: usize = 8;

/// Microseconds in a second.
const MICROS: i64 = 1_000_000;

/// Nanoseconds in a microsecond.
const NANOS: i64 = 1_000;

/// A time, from microseconds since 1970.
pub(crate) fn timestamp(at: i64) -> Timestamp {
    let nanos = i32::try_from(at.rem_euclid(MICROS) * NANOS).unwrap_or(0);
    Timestamp { seconds: at.div_euclid(MICROS), nanos }
}

/// Now, in microseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A frame as it is told.
pub(crate) fn told(found: &FoundFrame) -> Frame {
    let id = |seq: u64| format!("{}-{seq}", &found.instance[..found.instance.floor_char_boundary(INSTANCE_CHARS)]);
    Frame {
        id: id(found.seq),
        tape: found.tape.clone(),
        at: Some(timestamp(found.at)),
        node: found.node.clone(),
        instance: found.instance.clone(),
        sequence: found.seq,
        kind: codes::kind_name(found.kind).to_owned(),
        direction: found.direction.map(codes::direction_name).unwrap_or_default().to_owned(),
        method: found.method.clone(),
        name: found.name.clone(),
        outcome: found.outcome.map(codes::outcome_name).unwrap_or_default().to_owned(),
        code: found.code.unwrap_or(0),
        latency_us: found.latency,
        size: found.size,
        route: found.route.clone(),
        upstream: found.upstream.clone(),
        endpoint: found.endpoint.clone(),
        session: found.session.clone(),
        principal: found.principal.clone(),
        trace: found.trace.as_deref().map(hex).unwrap_or_default(),
        era: found.era.clone(),
        config_version: found.version.unwrap_or(0),
        operation: found.operation.map(id).unwrap_or_default(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A position as text that means nothing to anybody else.
pub(crate) fn cursor(position: Position) -> String {
    let mut bytes = Vec::with_capacity(24);
    bytes.extend(position.at.to_be_bytes());
    bytes.extend(position.source.to_be_bytes());
    bytes.extend(position.seq.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position that a cursor stands for; `None` for the beginning.
pub(crate) fn position(cursor: &str) -> Result<Option<Position>, Status> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let read = || {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
        let part = |from: usize| bytes[from..from + 8].try_into().ok();
        Some(Position {
            at: i64::from_be_bytes(part(0)?),
            source: i64::from_be_bytes(part(8)?),
            seq: u64::from_be_bytes(part(16)?),
        })
    };
    let found = read().ok_or_else(|| Status::invalid_argument("cursor: it is none: give what `next` said, or none"))?;
    Ok(Some(found))
}
