//! A node that is connected: what it said of itself, and how it is asked.
//!
//! The stream's task writes, operators read. Nothing here outlives the stream.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use shadowcat_proto::fleet::v1::{
    ConfigError, ConfigRef, Hello, NodeHealth, UpstreamHealth, command, command_reply, hello,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::authority::NodeIdentity;
use crate::store::{Note, Noted, Seen};

/// Commands that one node owes a reply to. Beyond it the asker hears at once that the node is busy.
pub(crate) const COMMANDS_MAX: usize = 64;

/// Upstreams of one node that are remembered: as many as a configuration may have. What a node says beyond them is not kept.
const UPSTREAMS_MAX: usize = shadowcat_config::limits::MAX_UPSTREAMS;

/// Errors of a refusal that are kept; the first ones tell what is wrong.
const ERRORS_MAX: usize = 32;

/// A text from a node, in bytes: longer ones are cut, because they are kept for every node.
const TEXT_BYTES_MAX: usize = 512;

/// Labels that a node may have: an operator's own words, not a store.
const LABELS_MAX: usize = 32;

/// Something asked of a node.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) kind: command::Kind,
    pub(crate) deadline: Duration,
    pub(crate) reply: Reply,
}

/// Where the reply to an [`Ask`] goes; closed once nobody waits for it any more.
pub(crate) type Reply = oneshot::Sender<Result<command_reply::Kind, AskError>>;

/// What a node will not have, and why.
pub(crate) type Refusal = (ConfigRef, Vec<ConfigError>);

/// Why a node did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// [`COMMANDS_MAX`] are under way.
    #[error("the node is busy with other commands: try again")]
    Busy,
    /// No reply within the deadline, or the stream ended first.
    #[error("the node did not answer in time")]
    Silent,
    /// It says why.
    #[error("the node refused: {0}")]
    Failed(String),
}

/// Why a stream is ended from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Another instance claims the name.
    Replaced,
    /// The same instance opened another stream.
    Moved,
    /// An operator removed the node.
    Removed,
    /// Another machine has joined under the node's name.
    Superseded,
}

/// What is known of a node now.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeState {
    /// What it runs.
    pub(crate) have: Option<ConfigRef>,
    pub(crate) origin: hello::Origin,
    /// What it refused last.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) health: Option<NodeHealth>,
    pub(crate) upstreams: BTreeMap<String, UpstreamHealth>,
    pub(crate) draining: bool,
    pub(crate) ahead: bool,
    pub(crate) last_seen: Option<SystemTime>,
}

/// A connected node.
#[derive(Debug)]
pub(crate) struct LiveNode {
    pub(crate) fleet: String,
    pub(crate) name: String,
    /// By the certificate of its stream.
    pub(crate) identity: NodeIdentity,
    pub(crate) address: String,
    pub(crate) instance: String,
    pub(crate) build: String,
    pub(crate) labels: BTreeMap<String, String>,
    state: Mutex<NodeState>,
    asks: mpsc::Sender<Ask>,
    ending: watch::Sender<Option<Ending>>,
    /// The number of its stream, once the store has given it one.
    stream: AtomicU64,
    closed: AtomicBool,
    /// The number of the stream before it, where that is known.
    before: AtomicU64,
}

/// Whose stream it is: from the certificate, not from what the node says.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) identity: NodeIdentity,
    pub(crate) address: String,
}

impl LiveNode {
    /// A node that has just said `hello`, and where its stream hears what is asked of it. `kept` is what is remembered here as
    /// refused by it: the node may have forgotten, and the store must not.
    pub(crate) fn new(peer: Peer, hello: &Hello, kept: Option<Refusal>) -> (Arc<Self>, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(COMMANDS_MAX);
        let state = NodeState {
            have: hello.have.clone(),
            origin: hello.origin(),
            refusal: kept,
            last_seen: Some(SystemTime::now()),
            ..NodeState::default()
        };
        let labels = hello.labels.iter().take(LABELS_MAX).map(|(key, value)| (cut(key), cut(value))).collect();
        let node = Self {
            fleet: peer.identity.fleet.clone(),
            name: peer.identity.node.clone(),
            identity: peer.identity,
            address: peer.address,
            instance: cut(&hello.instance),
            build: cut(&hello.build),
            labels,
            state: Mutex::new(state),
            asks,
            ending: watch::Sender::new(None),
            stream: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            before: AtomicU64::new(0),
        };
        (Arc::new(node), asked)
    }

    /// What is known of it now. The guard is held for a look or a change, never across a wait.
    pub(crate) fn state(&self) -> MutexGuard<'_, NodeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes why the node will not have a version.
    pub(crate) fn refuses(&self, reference: ConfigRef, mut errors: Vec<ConfigError>) {
        errors.truncate(ERRORS_MAX);
        for error in &mut errors {
            *error = ConfigError { path: cut(&error.path), message: cut(&error.message), hint: cut(&error.hint) };
        }
        self.state().refusal = Some((reference, errors));
    }

    /// Notes what the node runs from now on. What it refused before is settled by it.
    pub(crate) fn runs(&self, reference: ConfigRef) {
        let mut state = self.state();
        let settles = |(refused, _): &Refusal| refused.epoch != reference.epoch || refused.number <= reference.number;
        if state.refusal.as_ref().is_some_and(settles) {
            state.refusal = None;
        }
        state.have = Some(reference);
        state.origin = hello::Origin::Stream;
    }

    /// Notes what the node sees of an upstream.
    pub(crate) fn sees(&self, mut health: UpstreamHealth) {
        let mut state = self.state();
        if health.removed {
            state.upstreams.remove(&health.upstream);
        } else if state.upstreams.contains_key(&health.upstream) || state.upstreams.len() < UPSTREAMS_MAX {
            health.upstream = cut(&health.upstream);
            health.last_error = cut(&health.last_error);
            state.upstreams.insert(health.upstream.clone(), health);
        }
    }

    /// Asks the node and waits for its reply, `deadline` at most.
    pub(crate) async fn ask(&self, kind: command::Kind, deadline: Duration) -> Result<command_reply::Kind, AskError> {
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(Ask { kind, deadline, reply }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => AskError::Busy,
            mpsc::error::TrySendError::Closed(_) => AskError::Silent,
        })?;
        match timeout(deadline, answer).await {
            Ok(Ok(Ok(command_reply::Kind::Failed(why)))) => Err(AskError::Failed(why)),
            Ok(Ok(replied)) => replied,
            Ok(Err(_)) | Err(_) => Err(AskError::Silent),
        }
    }

    /// Ends the node's stream; the first reason stands.
    pub(crate) fn end(&self, ending: Ending) {
        self.ending.send_if_modified(|known| known.is_none() && known.replace(ending).is_none());
    }

    /// Resolves when the stream is to end.
    pub(crate) fn ended(&self) -> watch::Receiver<Option<Ending>> {
        self.ending.subscribe()
    }

    /// The number of the stream that the node had before, as the store knew it.
    pub(crate) fn came_after(&self, stream: u64) {
        self.before.store(stream, Ordering::Relaxed);
    }

    /// Its stream has ended: what is noted from now on is its last word.
    pub(crate) fn close(&self) {
        self.state().last_seen = Some(SystemTime::now());
        self.closed.store(true, Ordering::Relaxed);
    }

    /// What the store is to keep of the node.
    pub(crate) fn note(&self, epoch: &str) -> Note {
        let at = self.state().last_seen.unwrap_or_else(SystemTime::now);
        let (own, before) = (self.stream.load(Ordering::Relaxed), self.before.load(Ordering::Relaxed));
        let open = !self.closed.load(Ordering::Relaxed);
        // One that ended before it was noted at all has the last word, unless another came meanwhile.
        let stream = if own == 0 && !open { before } else { own };
        Note { fleet: self.fleet.clone(), name: self.name.clone(), stream, open, at, seen: self.seen(epoch) }
    }

    /// What became of a note.
    pub(crate) fn noted(&self, noted: Noted) {
        match noted {
            Noted::Kept(stream) => self.stream.store(stream, Ordering::Relaxed),
            Noted::Taken if !self.closed.load(Ordering::Relaxed) => {
                tracing::warn!(fleet = %self.fleet, node = %self.name, address = %self.address,
                    "another instance has this node's name, at another replica, and came later: is this a copied disk?");
                self.end(Ending::Replaced);
            }
            Noted::Taken | Noted::Stale => {}
        }
    }

    fn seen(&self, epoch: &str) -> Seen {
        let state = self.state();
        let ours = |reference: &&ConfigRef| reference.epoch == epoch;
        let refusal = state.refusal.as_ref().filter(|(reference, _)| reference.epoch == epoch);
        Seen {
            instance: self.instance.clone(),
            build: self.build.clone(),
            labels: self.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            version: state.have.as_ref().filter(ours).map_or(0, |reference| reference.number),
            refusal: refusal.map(|(reference, errors)| (reference.number, as_lines(errors))),
        }
    }
}

/// The first [`TEXT_BYTES_MAX`] of a text, with spaces for control characters: a terminal obeys some, and Postgres keeps no NUL.
pub(crate) fn cut(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Errors as the store keeps them: one a line.
pub(crate) fn as_lines(errors: &[ConfigError]) -> String {
    let line = |error: &ConfigError| {
        let text = match (error.path.as_str(), error.hint.as_str()) {
            ("", "") => error.message.clone(),
            (path, "") => format!("{path}: {}", error.message),
            ("", hint) => format!("{} ({hint})", error.message),
            (path, hint) => format!("{path}: {} ({hint})", error.message),
        };
        text.replace('\n', " ")
    };
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Errors as the store kept them.
pub(crate) fn from_lines(text: &str) -> Vec<ConfigError> {
    text.lines().map(|line| ConfigError { message: line.to_owned(), ..ConfigError::default() }).collect()
}

#[cfg(test)]
impl Peer {
    /// Node `n` of fleet `f`, whose certificate was made now.
    pub(crate) fn test() -> Self {
        let now = SystemTime::now();
        let (fleet, node) = ("f".to_owned(), "n".to_owned());
        let identity = NodeIdentity { fleet, node, issued_at: now, expires_at: now + Duration::from_secs(3_600) };
        Self { identity, address: "a".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> (Arc<LiveNode>, mpsc::Receiver<Ask>) {
        LiveNode::new(Peer::test(), &Hello::default(), None)
    }

    #[tokio::test]
    async fn beyond_the_bound_of_commands_the_asker_hears_at_once() {
        let (node, _asked) = node();
        let ask = || command::Kind::Drain(shadowcat_proto::fleet::v1::Drain {});
        for _ in 0..COMMANDS_MAX {
            let (reply, _) = oneshot::channel();
            node.asks.try_send(Ask { kind: ask(), deadline: Duration::ZERO, reply }).unwrap();
        }
        assert_eq!(node.ask(ask(), Duration::from_secs(1)).await, Err(AskError::Busy));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_does_not_reply_is_silent_at_the_deadline() {
        let (node, _asked) = node();
        let began = tokio::time::Instant::now();
        let ask = command::Kind::Drain(shadowcat_proto::fleet::v1::Drain {});
        assert_eq!(node.ask(ask, Duration::from_secs(2)).await, Err(AskError::Silent));
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }

    #[test]
    fn what_a_node_says_is_kept_within_bounds() {
        let (node, _asked) = node();
        for number in 0..=UPSTREAMS_MAX {
            let upstream = format!("u{number}");
            node.sees(UpstreamHealth { upstream, last_error: "é".repeat(1000), ..UpstreamHealth::default() });
        }
        assert_eq!(node.state().upstreams.len(), UPSTREAMS_MAX);
        assert!(node.state().upstreams.values().all(|health| health.last_error.len() <= TEXT_BYTES_MAX));
        node.sees(UpstreamHealth { upstream: "u0".to_owned(), removed: true, ..UpstreamHealth::default() });
        assert!(!node.state().upstreams.contains_key("u0"));
        node.refuses(ConfigRef::default(), vec![ConfigError::default(); 100]);
        assert_eq!(node.state().refusal.as_ref().unwrap().1.len(), ERRORS_MAX);
    }

    #[test]
    fn what_a_node_says_is_kept_without_control_characters() {
        let labels = BTreeMap::from([("a\0b".to_owned(), "c\u{1b}[2J".to_owned())]);
        let hello = Hello { instance: "i\0".to_owned(), build: "1\r\n2".to_owned(), labels, ..Hello::default() };
        let (node, _asked) = LiveNode::new(Peer::test(), &hello, None);
        let error = ConfigError { path: "p\0".to_owned(), message: "m\n\0".to_owned(), hint: "\u{7f}h".to_owned() };
        node.refuses(ConfigRef::default(), vec![error]);
        let seen = node.seen("");
        assert_eq!((seen.instance.as_str(), seen.build.as_str()), ("i ", "1  2"));
        assert_eq!(seen.labels, [("a b".to_owned(), "c [2J".to_owned())]);
        assert_eq!(seen.refusal.unwrap().1, "p : m   ( h)");
    }

    #[test]
    fn a_refusal_is_kept_until_something_newer_runs() {
        let reference = |number| ConfigRef { epoch: "e".to_owned(), number, ..ConfigRef::default() };
        let kept = (reference(3), from_lines("no"));
        let (node, _asked) = LiveNode::new(Peer::test(), &Hello::default(), Some(kept));
        assert_eq!(node.seen("e").refusal, Some((3, "no".to_owned())));
        node.runs(reference(2));
        assert_eq!(node.seen("e").refusal, Some((3, "no".to_owned())));
        node.runs(reference(4));
        assert_eq!(node.seen("e").refusal, None);
    }

    #[test]
    fn the_first_reason_to_end_a_stream_stands() {
        let (node, _asked) = node();
        node.end(Ending::Removed);
        node.end(Ending::Replaced);
        assert_eq!(*node.ended().borrow(), Some(Ending::Removed));
    }
}
