//! What there is in a place, counted as a control plane counts tapes.

use shadowcat_proto::admin::v1::Tape;
use shadowcat_tape::record::{Kind, Record};

use super::Origin;
use super::frame::{at, is_error, timestamp};

/// Names of nodes that are kept: a tape is of one node, and an exported one of few.
const NODES_MAX: usize = 16;

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The earliest frame: nanoseconds since 1970.
    pub first: Option<u64>,
    /// The latest.
    pub last: Option<u64>,
    /// Records of traffic: all but `head`, `clock`, `gap` and `end`.
    pub frames: u64,
    /// Calls that have ended.
    pub calls: u64,
    /// Those of them that did not end well.
    pub errors: u64,
    /// Bytes of messages as they were received.
    pub bytes: u64,
    /// Nodes, in the order in which they come; beyond 16 none is added.
    pub nodes: Vec<String>,
}

impl Tally {
    /// Counts a record.
    pub fn add(&mut self, record: &Record<'_>, origin: &Origin) {
        if matches!(record.k, Kind::Head | Kind::Clock | Kind::Gap | Kind::End) {
            return;
        }
        self.frames += 1;
        self.bytes = self.bytes.saturating_add(record.sz.unwrap_or(0));
        // A message that was changed on its way has ended its call already.
        if let Some(outcome) = record.out.filter(|_| record.of.is_none()) {
            self.calls += 1;
            self.errors += u64::from(is_error(outcome));
        }
        if let Some(at) = at(record.t, origin) {
            self.first = Some(self.first.map_or(at, |first| first.min(at)));
            self.last = self.last.max(Some(at));
        }
        let is_new = !origin.node.is_empty() && !self.nodes.contains(&origin.node);
        if is_new && self.nodes.len() < NODES_MAX {
            self.nodes.push(origin.node.clone());
        }
    }

    /// The same in the words of the admin API.
    #[must_use]
    pub fn tape(&self) -> Tape {
        Tape {
            first: self.first.map(timestamp),
            last: self.last.map(timestamp),
            frames: self.frames,
            calls: self.calls,
            errors: self.errors,
            bytes: self.bytes,
            nodes: self.nodes.clone(),
            ..Tape::default()
        }
    }
}
