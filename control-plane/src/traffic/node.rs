//! What a node said last, and what came since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::tally::Tally;

/// Kinds of calls that are remembered of a node: more than twice as many as it tells apart.
const KINDS_MAX: usize = 4_096;

/// Two words that are further apart are not subtracted: what came between is not of one moment. A node speaks every five seconds.
pub(super) const APART_MAX: Duration = Duration::from_secs(15);

/// A kind of calls, whatever upstream they go to.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Call {
    pub(super) route: Box<str>,
    pub(super) method: Box<str>,
    pub(super) tool: Box<str>,
}

/// Calls of a kind, and where its route leads.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) call: Arc<Call>,
    pub(super) upstream: Arc<str>,
    pub(super) tally: Tally,
}

/// What one boot of a node has counted.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) instance: String,
    /// When it spoke last; absent before its first word.
    at: Option<Instant>,
    /// What it said then. What it does not name any more is remembered too: a route may come back, and its counters with it.
    last: HashMap<Arc<Call>, Tally>,
    /// Whether it named kinds that are not remembered, for want of room: one that is new may be one of them.
    has_unremembered: bool,
}

/// What came between two words of a boot.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) within: Duration,
    /// Kinds that had calls.
    pub(super) calls: Vec<Said>,
}

impl Counted {
    /// A boot that has not said anything yet. What it says first happened at a time that nobody knows.
    pub(super) fn new(instance: &str) -> Self {
        Self { instance: instance.to_owned(), at: None, last: HashMap::new(), has_unremembered: false }
    }

    /// How long it has not spoken.
    pub(super) fn silent(&self, now: Instant) -> Duration {
        self.at.map_or(Duration::ZERO, |at| now.duration_since(at))
    }

    /// Kinds of calls that are remembered.
    pub(super) fn kinds(&self) -> usize {
        self.last.len()
    }

    /// Takes its next word, and tells what came since the last one; `None` if that was not a moment ago. `room` is how many more kinds
    /// may be remembered: the calls of those beyond are not counted. From then on what is new is only remembered at first, because it may
    /// have had all its calls long before.
    pub(super) fn next(&mut self, said: Vec<Said>, at: Instant, mut room: usize) -> Option<Came> {
        let within = self.at.replace(at).map(|before| at.duration_since(before)).filter(|within| *within <= APART_MAX);
        let may_be_old = self.has_unremembered;
        if self.last.len() + said.len() > KINDS_MAX {
            let named: HashSet<Arc<Call>> = said.iter().map(|said| Arc::clone(&said.call)).collect();
            let before = self.kinds();
            self.last.retain(|call, _| named.contains(call));
            self.has_unremembered |= self.kinds() < before;
        }
        room = room.min(KINDS_MAX.saturating_sub(self.last.len()));
        let mut calls = Vec::new();
        for Said { call, upstream, tally } in said {
            let since = match self.last.get_mut(&call) {
                Some(before) => tally.since(&std::mem::replace(before, tally.clone())),
                None if room > 0 => {
                    room -= 1;
                    self.last.insert(Arc::clone(&call), tally.clone());
                    if may_be_old {
                        continue;
                    }
                    // It had no calls before, or they would have been told.
                    tally
                }
                None => {
                    self.has_unremembered = true;
                    continue;
                }
            };
            if since.calls > 0 {
                calls.push(Said { call, upstream, tally: since });
            }
        }
        within.map(|within| Came { within, calls })
    }
}
