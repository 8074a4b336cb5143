//! Which frames are one operation: a call, its progress, its questions and their answers, its cancellation, the rounds of a call that
//! asks for input, the polls of a task.
//!
//! What came within one exchange belongs to its request, and needs nothing of what is here. What comes elsewhere is linked by
//! what it names. A wrong link is worse than none: where two operations would fit, none is chosen.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use shadowcat_tape::record::OpLink;

/// Names that are remembered, over all tapes. At the bound the oldest is forgotten, and what names it later stands for itself: such a
/// call has been open while sixty thousand others began.
const NAMES_MAX: usize = 64 * 1024;

/// What an operation can be named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Name<'a> {
    /// A request of the client, by its id as JSON text.
    Asked(&'a str),
    /// A request of the server.
    AskedByServer(&'a str),
    /// A progress token, as JSON text.
    Progress(&'a str),
    /// A task's id.
    Task(&'a str),
    /// What the server wants to be given back.
    State(&'a str),
    /// A call that waits for answers: its method and name, and the names of the questions, sorted.
    Questions(&'a str, &'a str, &'a [Box<str>]),
}

impl Name<'_> {
    /// How a frame is linked that names an operation so.
    const fn link(self) -> OpLink {
        match self {
            Self::Asked(_) | Self::AskedByServer(_) | Self::Progress(_) => OpLink::Id,
            Self::Task(_) => OpLink::Task,
            Self::State(_) => OpLink::State,
            Self::Questions(..) => OpLink::Keys,
        }
    }
}

/// Where a name means something: ids and tokens on their tape; tasks and states on their route, because a client may come back on
/// another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scope<'a> {
    Tape(&'a str),
    Route(&'a str),
}

/// The operation that a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    One(u64),
    /// Several would fit.
    Several,
}

/// The operations that can still be named. Keys are hashes of 64 bits under keys of this process: a collision would link two
/// operations wrongly once in a few hundred million, and nobody can bring one about.
#[derive(Debug)]
pub(super) struct Links {
    hasher: RandomState,
    known: HashMap<u64, Known>,
    order: VecDeque<u64>,
}

impl Links {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), known: HashMap::new(), order: VecDeque::new() }
    }

    /// From now on `name` stands for `operation`.
    pub(super) fn remember(&mut self, scope: Scope<'_>, name: Name<'_>, operation: u64) {
        let key = self.key(scope, name);
        let known = match self.known.get(&key) {
            Some(Known::One(other)) if *other != operation && ambiguous(name) => Known::Several,
            Some(Known::Several) if ambiguous(name) => Known::Several,
            _ => Known::One(operation),
        };
        if self.known.insert(key, known).is_none() {
            self.order.push_back(key);
            if self.order.len() > NAMES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }

    /// The operation that `name` stands for, and how that is known; `Err` where several would fit.
    pub(super) fn find(&self, scope: Scope<'_>, name: Name<'_>) -> Option<Result<(u64, OpLink), Ambiguous>> {
        match self.known.get(&self.key(scope, name))? {
            Known::One(operation) => Some(Ok((*operation, name.link()))),
            Known::Several => Some(Err(Ambiguous)),
        }
    }

    /// Nothing will be named so any more.
    pub(super) fn forget(&mut self, scope: Scope<'_>, name: Name<'_>) {
        // What is left in the order is skipped when it is the oldest.
        let key = self.key(scope, name);
        self.known.remove(&key);
        if self.order.back() == Some(&key) {
            self.order.pop_back();
        } else if self.order.len() > 2 * self.known.len() + NAMES_MAX / 16 {
            let known = &self.known;
            self.order.retain(|key| known.contains_key(key));
        }
    }

    fn key(&self, scope: Scope<'_>, name: Name<'_>) -> u64 {
        self.hasher.hash_one((scope, name))
    }
}

/// Two operations would fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// Whether two operations may bear the name at once. A request's id that comes again is a new request's: the old one is over, or its
/// client has lost it.
const fn ambiguous(name: Name<'_>) -> bool {
    matches!(name, Name::Questions(..) | Name::State(_) | Name::Task(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAPE: Scope<'_> = Scope::Tape("a");

    #[test]
    fn what_names_an_operation_finds_it_on_its_tape_alone() {
        let mut links = Links::new();
        links.remember(TAPE, Name::Asked("1"), 7);
        assert_eq!(links.find(TAPE, Name::Asked("1")), Some(Ok((7, OpLink::Id))));
        assert_eq!(links.find(TAPE, Name::Asked("\"1\"")), None, "an id keeps its type");
        assert_eq!(links.find(TAPE, Name::AskedByServer("1")), None);
        assert_eq!(links.find(Scope::Tape("b"), Name::Asked("1")), None);
        links.remember(TAPE, Name::Asked("1"), 9);
        assert_eq!(links.find(TAPE, Name::Asked("1")), Some(Ok((9, OpLink::Id))), "the id was used anew");
        links.forget(TAPE, Name::Asked("1"));
        assert_eq!(links.find(TAPE, Name::Asked("1")), None);
    }

    #[test]
    fn where_two_operations_would_fit_none_is_chosen() {
        let mut links = Links::new();
        let keys: [Box<str>; 2] = ["city".into(), "date".into()];
        let name = Name::Questions("tools/call", "book", &keys);
        links.remember(TAPE, name, 1);
        assert_eq!(links.find(TAPE, name), Some(Ok((1, OpLink::Keys))));
        links.remember(TAPE, name, 2);
        assert_eq!(links.find(TAPE, name), Some(Err(Ambiguous)));
        assert_eq!(links.find(TAPE, Name::Questions("tools/call", "book", &keys[..1])), None, "the full set counts");
        links.forget(TAPE, name);
        links.remember(TAPE, name, 3);
        assert_eq!(links.find(TAPE, name), Some(Ok((3, OpLink::Keys))));
    }

    #[test]
    fn every_queue_is_bounded_and_the_oldest_name_is_forgotten() {
        let mut links = Links::new();
        let ids: Vec<String> = (0..NAMES_MAX + 10).map(|id| id.to_string()).collect();
        for (operation, id) in ids.iter().enumerate() {
            links.remember(TAPE, Name::Asked(id), operation as u64);
        }
        assert_eq!((links.known.len(), links.order.len()), (NAMES_MAX, NAMES_MAX));
        assert_eq!(links.find(TAPE, Name::Asked("9")), None);
        assert!(links.find(TAPE, Name::Asked("10")).is_some());
        for id in &ids {
            links.forget(TAPE, Name::Asked(id));
        }
        assert!(links.known.is_empty() && links.order.len() <= NAMES_MAX / 16 + 1, "{}", links.order.len());
    }
}
