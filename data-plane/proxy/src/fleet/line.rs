//! What a control plane says, made into what the node does: the protocol of one line, without sockets, clocks or tasks.
//!
//! ```text
//! Welcome ─► SnapshotChunk… ─► (prepare) ─► PREPARED | REJECTED ─► Activate ─► (swap) ─► APPLIED
//! ```
//!
//! Invariants: nothing is taken before the welcome; a snapshot is taken only as a whole, in order, within [`PACKED_BYTES_MAX`], which is
//! checked before anything is kept; one version is under way at a time; only what was prepared is put to use. What breaks this is a
//! [`Violation`], and the line ends. Messages of a kind that is not known here are passed over.

use std::time::Duration;

use bytes::Bytes;
use shadowcat_config::{ConfigRef, MAX_CANONICAL_BYTES};
use shadowcat_proto::fleet::v1 as wire;
use shadowcat_proto::fleet::v1::control_message::Kind;

use super::prepare::Packed;
use super::provenance::from_wire;

/// A version on its way, compressed. As many bytes as one may have once it is unpacked: what grows by compression is none.
const PACKED_BYTES_MAX: usize = MAX_CANONICAL_BYTES;

/// How often a node says how it is, whatever the control plane asks for.
const HEALTH_EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);

/// What the node has to do now.
#[derive(Debug)]
pub(super) enum Task {
    /// Nothing: more is to come.
    Wait,
    /// It is welcome.
    Greet(Welcome),
    /// Build this, and say how it went to [`Line::prepared`] or [`Line::not_prepared`].
    Prepare(Packed),
    /// Put to use what was prepared.
    Activate(ConfigRef),
    /// Answer this.
    Obey(wire::Command),
    /// Open another line after this.
    Leave(Duration),
}

/// How a control plane answers a node's greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Welcome {
    pub(super) fleet: String,
    pub(super) health_every: Duration,
    pub(super) current: Option<ConfigRef>,
}

/// What no control plane says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("the control plane did not begin with a welcome, or repeated it")]
    Greeting,
    #[error("the control plane named a version without a digest")]
    Reference,
    #[error("the control plane sent version {0} while another was under way")]
    Overlap(u64),
    #[error("the pieces of version {0} do not fit together")]
    Pieces(u64),
    #[error("version {0} has {1} bytes, more than the {PACKED_BYTES_MAX} that a node takes")]
    Oversize(u64, u64),
    #[error("the control plane wants version {0} in use, which it has not sent")]
    NotPrepared(u64),
    #[error("the control plane wants segment {0}, which it was not offered, or wants it twice")]
    NotOffered(u64),
    #[error("the control plane's key for tags has not 32 bytes")]
    Key,
}

/// Where the version under way is.
#[derive(Debug, Default)]
enum UnderWay {
    #[default]
    Nothing,
    Arriving(Arrival),
    Preparing(ConfigRef),
    Prepared(ConfigRef),
}

#[derive(Debug)]
struct Arrival {
    version: ConfigRef,
    total: usize,
    unpacked: usize,
    held: usize,
    chunks: Vec<Bytes>,
}

/// The protocol's state on the node's side, from one greeting to the end of its line.
#[derive(Debug, Default)]
pub(super) struct Line {
    welcomed: bool,
    under_way: UnderWay,
}

impl Line {
    /// Takes what the control plane says.
    pub(super) fn take(&mut self, message: wire::ControlMessage) -> Result<Task, Violation> {
        let Some(kind) = message.kind else {
            // A newer control plane may say more than a node must know, and losing the line over it would help nobody.
            return if self.welcomed { Ok(Task::Wait) } else { Err(Violation::Greeting) };
        };
        if self.welcomed == matches!(kind, Kind::Welcome(_)) {
            return Err(Violation::Greeting);
        }
        match kind {
            Kind::Welcome(welcome) => self.greet(welcome).map(Task::Greet),
            Kind::Snapshot(chunk) => self.chunk(chunk),
            Kind::Activate(activate) => self.activate(activate.r#ref.as_ref()),
            Kind::Command(command) => Ok(Task::Obey(command)),
            Kind::Reconnect(reconnect) => Ok(Task::Leave(Duration::from_millis(reconnect.after_ms.into()))),
        }
    }

    /// The version under way can be put to use.
    pub(super) fn prepared(&mut self, version: &ConfigRef) {
        if matches!(&self.under_way, UnderWay::Preparing(preparing) if preparing == version) {
            self.under_way = UnderWay::Prepared(version.clone());
        }
    }

    /// It cannot.
    pub(super) fn not_prepared(&mut self, version: &ConfigRef) {
        if matches!(&self.under_way, UnderWay::Preparing(preparing) if preparing == version) {
            self.under_way = UnderWay::Nothing;
        }
    }

    fn greet(&mut self, welcome: wire::Welcome) -> Result<Welcome, Violation> {
        self.welcomed = true;
        let current = welcome.current.as_ref().map(|current| from_wire(current).ok_or(Violation::Reference));
        let every = Duration::from_millis(welcome.health_every_ms.into());
        Ok(Welcome {
            fleet: welcome.fleet,
            health_every: every.clamp(*HEALTH_EVERY.start(), *HEALTH_EVERY.end()),
            current: current.transpose()?,
        })
    }

    fn chunk(&mut self, chunk: wire::SnapshotChunk) -> Result<Task, Violation> {
        let version = chunk.r#ref.as_ref().and_then(from_wire).ok_or(Violation::Reference)?;
        let number = version.number;
        let mut arrival = match std::mem::take(&mut self.under_way) {
            UnderWay::Nothing if chunk.index == 0 => Arrival::begin(version, &chunk)?,
            UnderWay::Arriving(arrival) if arrival.version == version => arrival,
            UnderWay::Nothing | UnderWay::Arriving(_) => return Err(Violation::Pieces(number)),
            UnderWay::Preparing(_) | UnderWay::Prepared(_) => return Err(Violation::Overlap(number)),
        };
        let expected = arrival.chunks.len() == chunk.index as usize;
        let fits = arrival.held + chunk.bytes.len() <= arrival.total;
        // An empty piece that is not the last would let them come for ever.
        if !expected || !fits || (chunk.bytes.is_empty() && !chunk.last) {
            return Err(Violation::Pieces(number));
        }
        arrival.held += chunk.bytes.len();
        arrival.chunks.push(chunk.bytes);
        if !chunk.last {
            self.under_way = UnderWay::Arriving(arrival);
            return Ok(Task::Wait);
        }
        if arrival.held != arrival.total {
            return Err(Violation::Pieces(number));
        }
        let Arrival { version, unpacked, chunks, .. } = arrival;
        self.under_way = UnderWay::Preparing(version.clone());
        Ok(Task::Prepare(Packed { version, chunks, unpacked }))
    }

    fn activate(&mut self, wanted: Option<&wire::ConfigRef>) -> Result<Task, Violation> {
        let wanted = wanted.and_then(from_wire).ok_or(Violation::Reference)?;
        match std::mem::take(&mut self.under_way) {
            UnderWay::Prepared(prepared) if prepared == wanted => Ok(Task::Activate(prepared)),
            _ => Err(Violation::NotPrepared(wanted.number)),
        }
    }
}

impl Arrival {
    fn begin(version: ConfigRef, chunk: &wire::SnapshotChunk) -> Result<Self, Violation> {
        let (total, unpacked) = (chunk.total_bytes as usize, chunk.config_bytes as usize);
        if total.max(unpacked) > PACKED_BYTES_MAX {
            return Err(Violation::Oversize(version.number, total.max(unpacked) as u64));
        }
        Ok(Self { version, total, unpacked, held: 0, chunks: Vec::new() })
    }
}

#[cfg(test)]
mod tests;
