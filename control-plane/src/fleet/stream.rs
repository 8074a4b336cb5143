//! Drives one node's [`Line`] over its stream: one task a node, which ends when the stream does.
//!
//! What goes out waits in a queue that holds a snapshot by reference and an index; a message is made only when the transport
//! takes it, so a node that does not read costs nothing more, and is given up when a reply is overdue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{Stream as Messages, TryStreamExt as _};
use shadowcat_proto::fleet::v1::{
    Activate, Command, CommandReply, ConfigStatus, ControlMessage, Hello, NodeMessage, Welcome, control_message,
    node_message,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::farewell::{farewell, stopping};
use super::hub::{Head, Hub, LiveFleet, epoch_of};
use super::line::{Action, Event, Line};
use super::live::{Ask, AskError, COMMANDS_MAX, Ending, LiveNode, Peer, Reply};
use super::notes::Notes;
use super::refusals::{Remembered, told_of_refusal, unheard_refusal};
use super::snapshot::Snapshot;
use super::streaming::{Age, begun, first, reached, say_last};

/// A node answers a version within this time, or the stream is ended: ten times what 10 000 upstreams take to build.
const REPLY_DEADLINE: Duration = Duration::from_secs(60);

/// How often a node tells how it is.
const HEALTH_EVERY: Duration = Duration::from_secs(5);

/// Messages between this task and the transport: enough to keep it busy, 2 MiB at most. The task waits when it is full.
pub(crate) const OUTGOING_MAX: usize = 8;

/// What waits for a node that does not read: the commands it may owe a reply to, and a few words of the stream itself. A node that
/// makes more wait, by refusing what it did not read, is given up.
const QUEUE_MAX: usize = COMMANDS_MAX + 16;

/// What every stream of a replica shares.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) hub: Arc<Hub>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) stop: CancellationToken,
}

/// Where a node's messages come from.
pub(crate) trait Incoming: Messages<Item = Result<NodeMessage, Status>> + Unpin + Send {}

impl<S: Messages<Item = Result<NodeMessage, Status>> + Unpin + Send> Incoming for S {}

/// Where a node's messages go.
pub(crate) type Outgoing = mpsc::Sender<Result<ControlMessage, Status>>;

/// Something that waits for the transport.
#[derive(Debug)]
enum Queued {
    Message(control_message::Kind),
    /// Sent only if its asker still waits.
    Command(Command),
    /// A snapshot, and the piece that comes next.
    Snapshot(Arc<Snapshot>, u32),
}

/// One stream after its hello.
struct Stream {
    shared: Arc<Streams>,
    fleet: Arc<LiveFleet>,
    node: Arc<LiveNode>,
    line: Line,
    /// What the line calls current.
    head: Option<Arc<Head>>,
    heads: watch::Receiver<Option<Arc<Head>>>,
    queue: VecDeque<Queued>,
    waiting: BTreeMap<u64, Reply>,
    next_command: u64,
    overdue: Option<Instant>,
    age: Age,
}

/// Serves a stream to its end. `kept` looks up what is remembered as refused by this node, or that it may not be here; it is
/// asked after the hello, for what it says is to hold from then on.
pub(crate) async fn serve(
    shared: Arc<Streams>,
    peer: Peer,
    kept: impl Future<Output = Result<Remembered, Status>> + Send,
    mut incoming: impl Incoming,
    outgoing: Outgoing,
) {
    let stop = shared.stop.clone();
    let beginning = async {
        let hello = greeted(&mut incoming).await?;
        Ok((hello, kept.await?))
    };
    let ended = match begun(&stop, beginning).await {
        Ok((hello, kept)) => {
            let (mut stream, asked) = Stream::begin(shared, peer, kept, &hello);
            let ended = stream.run(asked, &mut incoming, &outgoing).await;
            stream.end(&ended);
            ended
        }
        Err(refused) => Err(refused),
    };
    say_last(&outgoing, ended).await;
}

async fn greeted(incoming: &mut impl Incoming) -> Result<Hello, Status> {
    match first(incoming, "Hello").await?.and_then(|message| message.kind) {
        Some(node_message::Kind::Hello(hello)) => Ok(hello),
        _ => Err(Status::failed_precondition("a stream begins with Hello")),
    }
}

impl Stream {
    fn begin(shared: Arc<Streams>, peer: Peer, remembered: Remembered, hello: &Hello) -> (Self, mpsc::Receiver<Ask>) {
        let fleet = shared.hub.fleet(&peer.identity.fleet);
        // What it refused a moment ago may not be written yet. (Another boot under its name may be another machine.)
        let before = fleet.node(&peer.identity.node);
        let before = before.or_else(|| shared.notes.unwritten(&fleet.name, &peer.identity.node));
        let before = before.filter(|before| before.instance == hello.instance);
        let kept = before.and_then(|before| before.state().refusal.clone()).or(remembered.refusal);
        let epoch = epoch_of(shared.hub.epoch(), &fleet.name);
        let line = Line::new(&epoch, hello, kept.as_ref().map(|(kept, _)| kept));
        let head = fleet.head();
        let (refusal, unheard) = match unheard_refusal(&epoch, hello, kept.as_ref(), head.as_deref()) {
            Some(unheard) => (Some(unheard.clone()), Some(unheard)),
            None => (kept, None),
        };
        let (node, asked) = LiveNode::new(peer, hello, refusal);
        node.came_after(remembered.stream);
        if let Some((reference, errors)) = unheard {
            told_of_refusal(&shared.hub, &node, &reference, &errors);
        }
        fleet.enter(&node);
        // Removed between the look at the store and now: the hub knows.
        if shared.hub.is_removed(&node.fleet, &node.name) {
            node.end(Ending::Removed);
        }
        let heads = fleet.heads();
        let mut stream = Self {
            shared,
            fleet,
            node,
            line,
            head: None,
            heads,
            queue: VecDeque::new(),
            waiting: BTreeMap::new(),
            next_command: 1,
            overdue: None,
            age: Age::new(),
        };
        stream.welcome();
        (stream, asked)
    }

    fn welcome(&mut self) {
        let head = self.heads.borrow_and_update().clone();
        if let Some(have) = self.line.have().filter(|have| have.epoch != self.line.epoch()) {
            tracing::warn!(fleet = %self.node.fleet, node = %self.node.name, epoch = %have.epoch, number = have.number,
                "the node comes from another fleet or database; it is given what this one has");
        }
        self.say(control_message::Kind::Welcome(Welcome {
            health_every_ms: u32::try_from(HEALTH_EVERY.as_millis()).unwrap_or(u32::MAX),
            fleet: self.node.fleet.clone(),
            current: head.as_ref().map(|head| head.snapshot.reference().clone()),
        }));
        self.shared.hub.metrics.node_connected(&self.node.fleet);
        tracing::info!(fleet = %self.node.fleet, node = %self.node.name, address = %self.node.address,
            version = self.line.have().map_or(0, |have| have.number), "node connected");
        self.shared.notes.note(&self.node);
        match head {
            Some(head) => self.take(head),
            // A node that has a version of ours while we have none is ahead: a status about nothing makes the line look.
            None => self.step(Event::Status(ConfigStatus::default())),
        }
    }

    async fn run(
        &mut self,
        mut asked: mpsc::Receiver<Ask>,
        incoming: &mut impl Incoming,
        outgoing: &Outgoing,
    ) -> Result<(), Status> {
        let mut ended = self.node.ended();
        let shared = Arc::clone(&self.shared);
        loop {
            if self.queue.len() > QUEUE_MAX {
                return Err(Status::resource_exhausted("too much waits for this node to read it: connect again"));
            }
            tokio::select! {
                ending = async { ended.wait_for(Option::is_some).await.ok().and_then(|ending| *ending) } => {
                    return farewell(ending);
                }
                () = shared.stop.cancelled() => return Err(stopping()),
                message = incoming.try_next() => match message {
                    Ok(Some(message)) => self.hear(message),
                    // The node has closed its side, or is gone.
                    Ok(None) | Err(_) => return Ok(()),
                },
                Ok(()) = self.heads.changed() => self.look(),
                Some(ask) = asked.recv() => self.command(ask),
                permit = outgoing.reserve(), if !self.queue.is_empty() => match (permit, self.dequeue()) {
                    (Ok(permit), Some(kind)) => permit.send(Ok(ControlMessage { kind: Some(kind) })),
                    (Ok(_), None) => {}
                    (Err(_), _) => return Ok(()),
                },
                () = reached(self.overdue) => {
                    return Err(Status::deadline_exceeded("no answer to a version within 60 s: connect again"));
                }
                () = sleep_until(self.age.until()) => {
                    let reconnect = self.age.leave()?;
                    self.say(control_message::Kind::Reconnect(reconnect));
                }
            }
        }
    }

    /// The last of a stream: its node is not connected any more, unless it is by another.
    fn end(&mut self, ended: &Result<(), Status>) {
        self.node.close();
        // Another stream of the node knows more, and has noted it.
        if self.fleet.leave(&self.node) {
            self.shared.notes.note(&self.node);
        }
        self.shared.hub.metrics.node_gone(&self.node.fleet);
        let why = ended.as_ref().err().map_or("the node closed it", Status::message);
        tracing::info!(fleet = %self.node.fleet, node = %self.node.name, why, "stream ended");
    }

    fn hear(&mut self, message: NodeMessage) {
        self.node.state().last_seen = Some(SystemTime::now());
        match message.kind {
            Some(node_message::Kind::ConfigStatus(status)) => self.step(Event::Status(status)),
            Some(node_message::Kind::UpstreamHealth(health)) => self.node.sees(health),
            Some(node_message::Kind::NodeHealth(health)) => {
                self.node.state().health = Some(health);
                self.shared.notes.note_seen(&self.node);
            }
            Some(node_message::Kind::CommandReply(reply)) => self.replied(reply),
            Some(node_message::Kind::Draining(_)) => self.node.state().draining = true,
            // A second hello, or something newer than this control plane.
            Some(node_message::Kind::Hello(_)) | None => {}
        }
    }

    fn look(&mut self) {
        let head = self.heads.borrow_and_update().clone();
        if let Some(head) = head {
            self.take(head);
        }
    }

    fn take(&mut self, head: Arc<Head>) {
        let reference = head.snapshot.reference().clone();
        self.head = Some(head);
        self.step(Event::Current(reference));
    }

    fn step(&mut self, event: Event) {
        for action in self.line.on(event) {
            self.act(action);
        }
        self.node.state().ahead = self.line.is_ahead();
        if !self.line.is_waiting() {
            self.overdue = None;
        }
    }

    fn act(&mut self, action: Action) {
        let metrics = &self.shared.hub.metrics;
        let (fleet, node) = (&self.node.fleet, &self.node.name);
        match action {
            Action::Send(_) => {
                // The line is only told of heads, and of each once it is kept here.
                let Some(head) = &self.head else { return };
                metrics.snapshot_sent(fleet);
                self.queue.push_back(Queued::Snapshot(Arc::clone(&head.snapshot), 0));
                self.overdue = Some(Instant::now() + REPLY_DEADLINE);
            }
            Action::Activate(reference) => {
                self.say(control_message::Kind::Activate(Activate { r#ref: Some(reference) }));
                self.overdue = Some(Instant::now() + REPLY_DEADLINE);
            }
            Action::Ran(reference) => {
                self.node.runs(reference);
                self.moved();
            }
            Action::Refused(reference, errors) => {
                let head = self.head.as_ref().map(|head| head.snapshot.reference());
                let known = self.node.state().refusal.as_ref().map(|(known, _)| known.clone());
                // A node may say it again on each of its streams, and one that is past hides none that is not.
                if known.is_some() && known.as_ref() == head && known.as_ref() != Some(&reference) {
                    return;
                }
                if known.as_ref() != Some(&reference) {
                    told_of_refusal(&self.shared.hub, &self.node, &reference, &errors);
                }
                self.node.refuses(reference, errors);
                self.moved();
            }
            Action::Ahead(reference) => tracing::error!(%fleet, %node, number = reference.number,
                "the node runs a version that this database does not have: was an old one restored? the node is sent nothing \
                 until its version is passed"),
        }
    }

    fn moved(&self) {
        self.fleet.node_moved();
        self.shared.notes.note(&self.node);
    }

    /// Whoever asked and did not wait any longer makes room, in what is owed and in what was not sent yet.
    fn tidy(&mut self) {
        self.waiting.retain(|_, reply| !reply.is_closed());
        let waiting = &self.waiting;
        self.queue.retain(|queued| !matches!(queued, Queued::Command(command) if !waiting.contains_key(&command.id)));
    }

    fn command(&mut self, ask: Ask) {
        self.tidy();
        if self.waiting.len() >= COMMANDS_MAX {
            // An asker that is gone does not want to know.
            let _ = ask.reply.send(Err(AskError::Busy));
            return;
        }
        let id = self.next_command;
        self.next_command += 1;
        self.waiting.insert(id, ask.reply);
        let deadline_ms = u32::try_from(ask.deadline.as_millis()).unwrap_or(u32::MAX);
        self.queue.push_back(Queued::Command(Command { id, deadline_ms, kind: Some(ask.kind) }));
    }

    fn replied(&mut self, reply: CommandReply) {
        if let (Some(asker), Some(kind)) = (self.waiting.remove(&reply.id), reply.kind) {
            // An asker that is gone does not want to know any more.
            let _ = asker.send(Ok(kind));
        }
    }

    fn say(&mut self, kind: control_message::Kind) {
        self.queue.push_back(Queued::Message(kind));
    }

    fn dequeue(&mut self) -> Option<control_message::Kind> {
        self.tidy();
        match self.queue.pop_front()? {
            Queued::Message(kind) => Some(kind),
            Queued::Command(command) => Some(control_message::Kind::Command(command)),
            Queued::Snapshot(snapshot, index) => {
                let chunk = snapshot.chunk(index)?;
                if !chunk.last {
                    // Behind what came meanwhile: a command waits for one piece, and not for all.
                    self.queue.push_back(Queued::Snapshot(snapshot, index + 1));
                }
                Some(control_message::Kind::Snapshot(chunk))
            }
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
