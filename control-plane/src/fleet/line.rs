//! What one node is sent, and when: a state machine that knows no socket and no clock.
//!
//! ```text
//!            current ≠ have, not refused                PREPARED
//!  Idle ──────────────────────────────────▶ Preparing ──────────▶ Activating
//!   ▲                 Snapshot                  │       Activate       │
//!   └───────────────────────────────────────────┴──────────────────────┘
//!                       REJECTED                    APPLIED or REJECTED
//! ```
//!
//! Invariants, each a property test below:
//! - One version is outstanding at most. What was sent is brought to its end; then the newest follows, and those between are
//!   skipped.
//! - A version that the node refused is never sent again.
//! - A node that is ahead of this control plane is sent nothing until it is passed.
//! - A node moves along what it was sent: a status about anything else changes nothing.

use std::collections::BTreeSet;

use bytes::Bytes;
use shadowcat_proto::fleet::v1::config_status::State;
use shadowcat_proto::fleet::v1::{ConfigError, ConfigRef, ConfigStatus, Hello};

/// Refusals that are remembered of one node. Only the newest can matter, because an older version is never current again.
const REFUSALS_MAX: usize = 64;

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The fleet runs this now.
    Current(ConfigRef),
    /// The node said so.
    Status(ConfigStatus),
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// The node is sent this version, which is the current one.
    Send(ConfigRef),
    /// The node is told to use what it has prepared.
    Activate(ConfigRef),
    /// The node runs this now.
    Ran(ConfigRef),
    /// The node will not have this.
    Refused(ConfigRef, Vec<ConfigError>),
    /// The node is ahead of us: an old database was restored, or this is not its control plane.
    Ahead(ConfigRef),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Preparing,
    Activating,
}

/// One node's line.
#[derive(Debug)]
pub(crate) struct Line {
    epoch: String,
    current: Option<ConfigRef>,
    have: Option<ConfigRef>,
    outstanding: Option<(ConfigRef, Phase)>,
    /// Numbers of this epoch, and what they stood for: after a restored database a number may be given twice.
    refused: BTreeSet<(u64, Bytes)>,
    ahead: bool,
}

impl Line {
    /// A line to a node that has just said `hello`. `kept` is what is remembered here as refused.
    pub(crate) fn new(epoch: &str, hello: &Hello, kept: Option<&ConfigRef>) -> Self {
        let mut line = Self {
            epoch: epoch.to_owned(),
            current: None,
            have: hello.have.clone(),
            outstanding: None,
            refused: BTreeSet::new(),
            ahead: false,
        };
        for rejected in hello.rejected.iter().chain(kept) {
            line.refuse(rejected);
        }
        line
    }

    /// Takes an event to what follows from it, in order.
    pub(crate) fn on(&mut self, event: Event) -> Vec<Action> {
        let mut actions = match event {
            Event::Current(current) => {
                // Replicas hear of versions in any order; a fleet only goes up.
                if self.current.as_ref().is_none_or(|known| known.number < current.number) {
                    self.current = Some(current);
                }
                Vec::new()
            }
            Event::Status(status) => self.status(status),
        };
        actions.extend(self.next());
        actions
    }

    /// The epoch of the node's fleet.
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// True while the node owes an answer.
    pub(crate) fn is_waiting(&self) -> bool {
        self.outstanding.is_some()
    }

    /// What the node runs, as far as it said.
    pub(crate) fn have(&self) -> Option<&ConfigRef> {
        self.have.as_ref()
    }

    /// True if the node runs a version of this epoch that is not known here.
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead
    }

    fn status(&mut self, status: ConfigStatus) -> Vec<Action> {
        let state = status.state();
        let Some(reference) = status.r#ref else { return Vec::new() };
        let phase = self.outstanding.as_ref().filter(|(sent, _)| *sent == reference).map(|(_, phase)| *phase);
        match (state, phase) {
            (State::Prepared, Some(Phase::Preparing)) => {
                self.outstanding = Some((reference.clone(), Phase::Activating));
                vec![Action::Activate(reference)]
            }
            (State::Applied, Some(Phase::Activating)) => {
                self.outstanding = None;
                self.have = Some(reference.clone());
                vec![Action::Ran(reference)]
            }
            (State::Rejected | State::Reverted, _) => {
                if phase.is_some() {
                    self.outstanding = None;
                }
                self.refuse(&reference);
                vec![Action::Refused(reference, status.errors)]
            }
            // Said twice, or about what was not asked.
            (State::Unknown | State::Prepared | State::Applied, _) => Vec::new(),
        }
    }

    fn refuse(&mut self, reference: &ConfigRef) {
        if reference.epoch != self.epoch {
            return;
        }
        self.refused.insert((reference.number, reference.digest.clone()));
        if self.refused.len() > REFUSALS_MAX {
            self.refused.pop_first();
        }
    }

    fn next(&mut self) -> Option<Action> {
        let ahead = self.stands_ahead();
        let newly = ahead && !self.ahead;
        self.ahead = ahead;
        if ahead {
            return self.have.clone().filter(|_| newly).map(Action::Ahead);
        }
        let current = self.current.as_ref()?;
        let refused = self.refused.contains(&(current.number, current.digest.clone()));
        if self.outstanding.is_some() || self.have.as_ref() == Some(current) || refused {
            return None;
        }
        self.outstanding = Some((current.clone(), Phase::Preparing));
        Some(Action::Send(current.clone()))
    }

    /// A number that was not given yet, or was given to something else, was given by a database that is not this one any more.
    fn stands_ahead(&self) -> bool {
        let Some(have) = self.have.as_ref().filter(|have| have.epoch == self.epoch) else { return false };
        self.current.as_ref().is_none_or(|current| {
            have.number > current.number || (have.number == current.number && have.digest != current.digest)
        })
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
