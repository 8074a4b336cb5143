//! Which tape a child is on, which exchange its messages belong to, and what its pipes have said that still matters.
//!
//! A child has a tape of its own, `u-<upstream>-<child>-<instance>`, until a session of a recorded client is its own: from then on
//! it is on the session's.

use std::collections::BTreeMap;

use super::call::CallContext;
use crate::observe::{SESSION_CHARS, Words};

/// Children that are remembered. At the bound the eldest is forgotten: what it says later is on its own tape again. Their number is
/// bounded by those alive unless the queue lost the end of one.
const CHILDREN_MAX: usize = 4 * 1024;

/// Exchanges whose requests can still be named. The call of a shared child comes to it within microseconds.
const REQUESTS_KEPT: usize = 4 * 1024;

/// What the thread knows of children, and of the exchanges that concern them.
#[derive(Debug)]
pub(super) struct Children {
    known: BTreeMap<u64, Child>,
    /// By the exchange's number, modulo their count.
    requests: Vec<Request>,
    /// Children whose session is known only when the exchange has ended that opened it; exchange and child.
    awaited: BTreeMap<u64, u64>,
}

/// A child that lives.
#[derive(Debug, Default)]
struct Child {
    session: Option<[u8; SESSION_CHARS]>,
    /// How many lines had been left out when it spoke last; absent for one whose beginning was not seen.
    holes: Option<u64>,
    /// One for each recording of its terms.
    stderr: Vec<Words>,
    stdout: Vec<Words>,
}

/// A pipe that a child writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipe {
    Stdout,
    Stderr,
}

/// The client's request of an exchange.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Request {
    exchange: u64,
    /// Its record.
    pub(super) seq: u64,
    pub(super) operation: Option<u64>,
}

impl Children {
    pub(super) fn new() -> Self {
        Self { known: BTreeMap::new(), requests: vec![Request::default(); REQUESTS_KEPT], awaited: BTreeMap::new() }
    }

    /// Notes the record of a client's request.
    pub(super) fn remember(&mut self, exchange: u64, seq: u64, operation: Option<u64>) {
        if let Some(request) = usize::try_from(exchange).ok().and_then(|at| self.requests.get_mut(at % REQUESTS_KEPT)) {
            *request = Request { exchange, seq, operation };
        }
    }

    /// The client's request of an exchange, if it was recorded and is not older than [`REQUESTS_KEPT`] others.
    pub(super) fn request(&self, exchange: u64) -> Option<Request> {
        let at = usize::try_from(exchange).ok()? % REQUESTS_KEPT;
        self.requests.get(at).copied().filter(|request| request.exchange == exchange)
    }

    fn child(&mut self, number: u64) -> &mut Child {
        if self.known.len() >= CHILDREN_MAX && !self.known.contains_key(&number) {
            self.known.pop_first();
        }
        self.known.entry(number).or_default()
    }

    /// The beginning of the id of the session whose own it is.
    pub(super) fn session_of(&self, number: u64) -> Option<[u8; SESSION_CHARS]> {
        self.known.get(&number)?.session
    }

    /// It has begun, when so many lines of others had been left out.
    pub(super) fn born(&mut self, number: u64, holes: u64) {
        self.child(number).holes = Some(holes);
    }

    /// Where the lines of a pipe stand, for so many recordings. If lines were left out since the child spoke last, a key may have begun
    /// in them.
    pub(super) fn streams(&mut self, number: u64, (pipe, holes): (Pipe, u64), recordings: usize) -> &mut [Words] {
        let child = self.child(number);
        if child.holes.replace(holes) != Some(holes) {
            (child.stdout, child.stderr) = (vec![Words::torn()], vec![Words::torn()]);
        }
        let streams = match pipe {
            Pipe::Stdout => &mut child.stdout,
            Pipe::Stderr => &mut child.stderr,
        };
        // One that joins is where the others are: in the middle of a key, perhaps.
        let joining = streams.first().cloned().unwrap_or_default();
        streams.resize(recordings.max(streams.len()), joining);
        streams
    }

    /// The child with this number will belong to the session that this exchange opens.
    pub(super) fn await_session(&mut self, exchange: u64, child: u64) {
        if self.awaited.len() >= CHILDREN_MAX {
            self.awaited.pop_first();
        }
        self.child(child);
        self.awaited.insert(exchange, child);
    }

    /// An exchange is known whole: if it has opened a session, the child that waits for it belongs to that.
    pub(super) fn opened(&mut self, call: &CallContext) {
        if self.awaited.is_empty() {
            return;
        }
        if let Some(number) = self.awaited.remove(&call.exchange)
            && let Some(child) = self.known.get_mut(&number)
        {
            child.session = call.session;
        }
    }

    /// It has ended.
    pub(super) fn forget(&mut self, number: u64) {
        self.known.remove(&number);
        self.awaited.retain(|_, child| *child != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_is_bounded_and_the_eldest_child_is_forgotten() {
        let mut children = Children::new();
        for number in 0..CHILDREN_MAX as u64 + 5 {
            children.await_session(number, number);
        }
        assert_eq!((children.known.len(), children.awaited.len()), (CHILDREN_MAX, CHILDREN_MAX));
        assert!(!children.known.contains_key(&4) && children.known.contains_key(&5));
        (0..CHILDREN_MAX as u64 + 5).for_each(|number| children.forget(number));
        assert!(children.known.is_empty() && children.awaited.is_empty());
    }

    #[test]
    fn a_request_is_found_until_as_many_others_have_come() {
        let mut children = Children::new();
        children.remember(7, 70, Some(60));
        let found = children.request(7).map(|request| (request.seq, request.operation));
        assert_eq!((found, children.request(7 + REQUESTS_KEPT as u64).is_some()), (Some((70, Some(60))), false));
        children.remember(7 + REQUESTS_KEPT as u64, 71, None);
        assert!(children.request(7).is_none());
    }

    #[test]
    fn a_recording_that_joins_in_the_middle_of_a_key_knows_of_it() {
        let redactor = shadowcat_tape::redact::Redactor::new(&Default::default(), &[1; 32].into()).unwrap();
        let mut children = Children::new();
        let (stdout, stderr, key) = ((Pipe::Stdout, 0), (Pipe::Stderr, 0), "MIIE".repeat(16));
        children.born(1, 0);
        children.streams(1, stderr, 1)[0].line(&redactor, "-----BEGIN PRIVATE KEY-----");
        assert!(children.streams(1, stderr, 2)[1].line(&redactor, &key).starts_with("⟦r:pem:"));
        assert_eq!(children.streams(1, stdout, 1)[0].line(&redactor, &key), key);
    }

    #[test]
    fn what_follows_lines_that_were_left_out_is_taken_for_a_key_if_it_looks_like_one() {
        let redactor = shadowcat_tape::redact::Redactor::new(&Default::default(), &[1; 32].into()).unwrap();
        let (mut children, key) = (Children::new(), "MIIE".repeat(16));
        children.born(1, 5);
        assert_eq!(children.streams(1, (Pipe::Stderr, 5), 1)[0].line(&redactor, &key), key);
        let torn = children.streams(1, (Pipe::Stderr, 6), 1);
        assert_eq!(torn[0].line(&redactor, "served a request"), "served a request");
        assert!(torn[0].line(&redactor, &key).starts_with("⟦r:pem:"));
        // One whose beginning was not recorded may be anywhere.
        assert!(children.streams(2, (Pipe::Stdout, 6), 1)[0].line(&redactor, &key).starts_with("⟦r:pem:"));
    }
}
