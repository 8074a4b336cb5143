//! What a window came to: of each kind of calls, and of each node. It is also what one replica writes for the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fleet::Cell;
use super::node::{APART_MAX, Counted};
use super::tally::Tally;

/// A window of a fleet, as one replica or another saw it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Sums {
    #[prost(message, repeated, tag = "1")]
    pub(crate) kinds: Vec<KindSum>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) nodes: Vec<NodeSum>,
}

/// Calls of a kind. All names are empty for the calls that are not told apart.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KindSum {
    #[prost(string, tag = "1")]
    pub(crate) route: String,
    #[prost(string, tag = "2")]
    pub(crate) upstream: String,
    #[prost(string, tag = "3")]
    pub(crate) method: String,
    #[prost(string, tag = "4")]
    pub(crate) tool: String,
    #[prost(message, required, tag = "5")]
    pub(crate) tally: Tally,
}

/// Calls of a node.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NodeSum {
    #[prost(string, tag = "1")]
    pub(crate) node: String,
    #[prost(message, required, tag = "2")]
    pub(crate) tally: Tally,
    /// Of the window, the time for which it has told of its calls, in microseconds.
    #[prost(uint64, tag = "3")]
    pub(crate) told_us: u64,
    /// The time since, if it should have spoken by now, in microseconds.
    #[prost(uint64, tag = "4")]
    pub(crate) silent_us: u64,
}

/// What a window is made from, to be added up without a lock.
pub(super) struct Part {
    cells: Vec<Arc<Cell>>,
    /// Nodes, and how long each has been silent.
    silent: HashMap<Arc<str>, Duration>,
}

impl Part {
    pub(super) fn new<'a>(
        cells: Vec<Arc<Cell>>,
        nodes: impl Iterator<Item = (&'a Arc<str>, &'a Counted)>,
        now: Instant,
    ) -> Self {
        let silent = nodes.map(|(node, counted)| (Arc::clone(node), counted.silent(now)));
        Self { cells, silent: silent.filter(|(_, silent)| *silent > APART_MAX).collect() }
    }

    /// Adds it up.
    pub(super) fn sums(&self) -> Sums {
        let (mut kinds, mut nodes) = (HashMap::<_, Tally>::new(), HashMap::<_, (Tally, Duration)>::new());
        for cell in &self.cells {
            for (kind, tally) in &cell.kinds {
                kinds.entry(kind).or_default().add(tally);
            }
            for (node, (tally, within)) in &cell.nodes {
                let (sum, told) = nodes.entry(node).or_default();
                sum.add(tally);
                *told += *within;
            }
        }
        let kinds = kinds.into_iter().map(|((call, upstream), tally)| KindSum {
            route: call.route.to_string(),
            upstream: upstream.to_string(),
            method: call.method.to_string(),
            tool: call.tool.to_string(),
            tally,
        });
        let nodes = nodes.into_iter().map(|(node, (tally, told))| NodeSum {
            node: node.to_string(),
            tally,
            told_us: micros(told),
            silent_us: self.silent.get(node).copied().map_or(0, micros),
        });
        Sums { kinds: kinds.collect(), nodes: nodes.collect() }
    }
}

impl Sums {
    /// Tells only the kinds of most calls apart, so many.
    pub(super) fn shorten(&mut self, most: usize) {
        if self.kinds.len() <= most {
            return;
        }
        self.kinds.sort_by_key(|kind| std::cmp::Reverse(kind.tally.calls));
        let mut rest = KindSum::default();
        for kind in self.kinds.drain(most..) {
            rest.tally.add(&kind.tally);
        }
        self.kinds.push(rest);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_apart_any_more_is_still_counted() {
        let kind = |tool: &str, calls| KindSum {
            tool: tool.to_owned(),
            tally: Tally { calls, ..Tally::default() },
            ..KindSum::default()
        };
        let mut sums = Sums { kinds: vec![kind("a", 1), kind("b", 7), kind("c", 2), kind("d", 5)], nodes: Vec::new() };
        sums.shorten(2);
        let left: Vec<_> = sums.kinds.iter().map(|kind| (kind.tool.as_str(), kind.tally.calls)).collect();
        assert_eq!(left, [("b", 7), ("d", 5), ("", 3)]);
    }
}
