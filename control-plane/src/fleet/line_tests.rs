//! Cases by name, and what holds in any order of commits and replies.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn reference(number: u64) -> ConfigRef {
    let digest = Bytes::copy_from_slice(&[u8::try_from(number % 251).unwrap(); 32]);
    ConfigRef { epoch: "ours".to_owned(), number, digest }
}

fn hello(have: Option<ConfigRef>) -> Hello {
    Hello { have, ..Hello::default() }
}

fn line(have: Option<ConfigRef>) -> Line {
    Line::new("ours", &hello(have), None)
}

fn status(reference: ConfigRef, state: State) -> Event {
    Event::Status(ConfigStatus { r#ref: Some(reference), state: state.into(), ..ConfigStatus::default() })
}

#[test]
fn a_node_with_nothing_is_sent_the_current_version_and_brought_to_its_end() {
    let mut line = line(None);
    assert_eq!(line.on(Event::Current(reference(1))), [Action::Send(reference(1))]);
    assert_eq!(line.on(status(reference(1), State::Prepared)), [Action::Activate(reference(1))]);
    assert_eq!(line.on(status(reference(1), State::Applied)), [Action::Ran(reference(1))]);
    assert!(!line.is_waiting());
    assert_eq!(line.have(), Some(&reference(1)));
}

#[test]
fn a_node_that_has_the_current_version_is_sent_nothing() {
    assert_eq!(line(Some(reference(3))).on(Event::Current(reference(3))), []);
}

#[test]
fn what_was_prepared_is_activated_and_then_the_newest_follows() {
    let mut line = line(None);
    line.on(Event::Current(reference(1)));
    assert_eq!(line.on(Event::Current(reference(2))), []);
    assert_eq!(line.on(Event::Current(reference(3))), []);
    assert_eq!(line.on(status(reference(1), State::Prepared)), [Action::Activate(reference(1))]);
    let then = line.on(status(reference(1), State::Applied));
    assert_eq!(then, [Action::Ran(reference(1)), Action::Send(reference(3))]);
}

#[test]
fn what_a_node_refused_in_this_stream_before_it_or_by_the_store_is_not_sent() {
    let mut refusing = line(Some(reference(1)));
    refusing.on(Event::Current(reference(2)));
    assert_eq!(refusing.on(status(reference(2), State::Rejected)), [Action::Refused(reference(2), vec![])]);
    assert_eq!(refusing.on(Event::Current(reference(2))), []);

    let said = Hello { rejected: vec![reference(2)], ..hello(Some(reference(1))) };
    assert_eq!(Line::new("ours", &said, None).on(Event::Current(reference(2))), []);

    let mut kept = Line::new("ours", &hello(Some(reference(1))), Some(&reference(2)));
    assert_eq!(kept.on(Event::Current(reference(2))), []);
    assert_eq!(kept.on(Event::Current(reference(3))), [Action::Send(reference(3))], "another one is");
}

#[test]
fn what_another_epoch_refused_is_not_held_against_ours() {
    let said = Hello { rejected: vec![ConfigRef { epoch: "theirs".to_owned(), ..reference(2) }], ..hello(None) };
    assert_eq!(Line::new("ours", &said, None).on(Event::Current(reference(2))), [Action::Send(reference(2))]);
}

#[test]
fn a_refused_number_that_was_given_to_something_else_is_not_held_against_it() {
    let theirs = ConfigRef { digest: Bytes::from_static(&[9; 32]), ..reference(2) };
    let said = Hello { rejected: vec![theirs], ..hello(Some(reference(1))) };
    assert_eq!(Line::new("ours", &said, None).on(Event::Current(reference(2))), [Action::Send(reference(2))]);
}

#[test]
fn a_node_that_is_ahead_is_left_alone_until_it_is_passed() {
    let mut line = line(Some(reference(5)));
    assert_eq!(line.on(Event::Current(reference(3))), [Action::Ahead(reference(5))]);
    assert_eq!(line.on(Event::Current(reference(4))), [], "the alarm rings once");
    assert!(line.is_ahead());
    assert_eq!(line.on(Event::Current(reference(6))), [Action::Send(reference(6))]);
    assert!(!line.is_ahead());
}

#[test]
fn the_same_number_with_another_content_is_ahead_too() {
    let theirs = ConfigRef { digest: Bytes::from_static(&[9; 32]), ..reference(3) };
    assert_eq!(line(Some(theirs.clone())).on(Event::Current(reference(3))), [Action::Ahead(theirs)]);
}

#[test]
fn a_node_of_another_epoch_is_sent_ours_whatever_its_number() {
    let theirs = ConfigRef { epoch: "theirs".to_owned(), ..reference(99) };
    assert_eq!(line(Some(theirs)).on(Event::Current(reference(1))), [Action::Send(reference(1))]);
}

#[test]
fn a_version_that_a_node_went_back_from_counts_as_refused() {
    let mut line = line(Some(reference(1)));
    line.on(Event::Current(reference(2)));
    assert_eq!(line.on(status(reference(2), State::Reverted)), [Action::Refused(reference(2), vec![])]);
    assert_eq!(line.on(Event::Current(reference(2))), []);
}

/// What a node does when something was sent to it.
#[derive(Debug, Clone, Copy)]
enum Step {
    Commit,
    Prepare,
    Apply,
    Reject,
    /// Says something about a version that it was not sent.
    Babble(State, u64),
    /// The stream breaks, and the node comes back with what it has and what it refused.
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    let babble = (prop_oneof![Just(State::Prepared), Just(State::Applied), Just(State::Unknown)], 1u64..40);
    prop_oneof![
        4 => Just(Step::Commit),
        4 => Just(Step::Prepare),
        4 => Just(Step::Apply),
        2 => Just(Step::Reject),
        1 => babble.prop_map(|(state, number)| Step::Babble(state, number)),
        1 => Just(Step::Reconnect),
    ]
}

/// A node beside its line: it takes what it is sent, and asserts what must hold.
struct Played {
    line: Line,
    committed: u64,
    sent: Option<u64>,
    prepared: bool,
    runs: Option<u64>,
    rejected: BTreeSet<u64>,
}

impl Played {
    fn new() -> Self {
        Self { line: line(None), committed: 0, sent: None, prepared: false, runs: None, rejected: BTreeSet::new() }
    }

    fn feed(&mut self, event: Event) {
        for action in self.line.on(event) {
            match action {
                Action::Send(sent) => {
                    assert_eq!(self.sent, None, "one is outstanding");
                    assert_eq!(sent, reference(self.committed), "it is the newest");
                    assert!(!self.rejected.contains(&sent.number), "it was refused");
                    assert_ne!(self.runs, Some(sent.number), "it runs already");
                    self.sent = Some(sent.number);
                }
                Action::Activate(activated) => {
                    assert_eq!(Some(activated.number), self.sent, "it was sent");
                    self.prepared = true;
                }
                Action::Ran(ran) => assert_eq!(Some(ran.number), self.runs, "the node said so"),
                Action::Refused(refused, _) => assert!(self.rejected.contains(&refused.number)),
                Action::Ahead(_) => panic!("no node is ahead here"),
            }
        }
    }

    fn step(&mut self, step: Step) {
        match (step, self.sent) {
            (Step::Commit, _) => {
                self.committed += 1;
                self.feed(Event::Current(reference(self.committed)));
            }
            (Step::Prepare, Some(sent)) if !self.prepared => self.feed(status(reference(sent), State::Prepared)),
            (Step::Apply, Some(sent)) if self.prepared => {
                (self.sent, self.prepared, self.runs) = (None, false, Some(sent));
                self.feed(status(reference(sent), State::Applied));
            }
            (Step::Reject, Some(sent)) => {
                (self.sent, self.prepared) = (None, false);
                self.rejected.insert(sent);
                self.feed(status(reference(sent), State::Rejected));
            }
            (Step::Babble(state, number), sent) if sent != Some(number) => self.feed(status(reference(number), state)),
            (Step::Reconnect, _) => {
                (self.sent, self.prepared) = (None, false);
                let rejected = self.rejected.iter().copied().map(reference).collect();
                let hello = Hello { rejected, ..hello(self.runs.map(reference)) };
                self.line = Line::new("ours", &hello, None);
                if self.committed > 0 {
                    self.feed(Event::Current(reference(self.committed)));
                }
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn in_any_order_one_is_outstanding_the_newest_wins_and_nothing_refused_returns(steps in vec(step(), 0..60)) {
        let mut played = Played::new();
        for step in steps {
            played.step(step);
        }
        // Whatever happened, a node that goes on answering ends on the newest, unless that is what it refused.
        for _ in 0..2 {
            played.step(Step::Prepare);
            played.step(Step::Apply);
        }
        let newest = (played.committed > 0 && !played.rejected.contains(&played.committed)).then_some(played.committed);
        if newest.is_some() {
            prop_assert_eq!(played.runs, newest);
        }
        prop_assert!(!played.line.is_waiting());
    }
}
