//! Drives one node's [`Line`] over its `Ship` stream: one task a node, which ends when the stream does.
//!
//! What a line asks for (looks, messages to keep, segments to store) runs as futures of this task; those that are left when it ends are
//! dropped with it. A commit that was begun goes on in the writer, and the node hears of it when it offers the segment again.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream as Messages, StreamExt as _, TryStreamExt as _};
use shadowcat_proto::fleet::v1::{FollowRecords, ShipMessage, ShipReply, ShipWelcome, ship_message, ship_reply};
use shadowcat_tape::segment::SegmentId;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, interval, sleep_until};
use tonic::Status;

use super::ingest::Failure;
use super::line::{Action, Event, Line, OFFERS_MAX};
use super::offer::Offer;
use crate::fleet::Hub;
use crate::fleet::farewell::{removed, stopping};
use crate::fleet::streaming::{Age, begun, first, reached, say_last};
use crate::tapes::Tapes;
use crate::tapes::index::Offered;

/// How often a node tells what its calls come to: what an overview is late.
const TRAFFIC_EVERY: Duration = Duration::from_secs(5);

/// What is wanted comes within this time of its last byte, or the stream ends: it holds memory that other streams wait for. A node on the
/// slowest of lines sends a piece in less.
const PROGRESS_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked whether this replica knows that the node was removed.
const REMOVED_EVERY: Duration = Duration::from_secs(1);

/// How often the database is asked, for a node whose other stream is at another replica.
const REMOVED_ASKED_EVERY: Duration = Duration::from_secs(30);

/// Messages between this task and the transport.
pub(crate) const OUTGOING_MAX: usize = 8;

/// What waits for a node that does not read: an answer to each offer, twice, and a few words of the stream itself. A node that makes
/// more wait is given up.
const QUEUE_MAX: usize = 2 * OFFERS_MAX + 8;

/// Where a node's messages come from.
pub(crate) trait Incoming: Messages<Item = Result<ShipMessage, Status>> + Unpin + Send {}

impl<S: Messages<Item = Result<ShipMessage, Status>> + Unpin + Send> Incoming for S {}

/// Where a node's messages go.
pub(crate) type Outgoing = mpsc::Sender<Result<ShipReply, Status>>;

/// Something that a line waits for.
type Work = Pin<Box<dyn Future<Output = Worked> + Send>>;

/// What came of it.
enum Worked {
    Event(Event),
    /// The memory is lent until the segment is settled.
    Lent(SegmentId, OwnedSemaphorePermit),
    Away(String),
    /// Whether the node was removed, as the database knows.
    Asked(Result<(), Status>),
}

/// One stream after its hello.
struct Stream {
    tapes: Arc<Tapes>,
    hub: Arc<Hub>,
    fleet: String,
    node: Arc<str>,
    instance: Arc<str>,
    line: Line,
    work: FuturesUnordered<Work>,
    lent: BTreeMap<SegmentId, OwnedSemaphorePermit>,
    queue: VecDeque<ship_reply::Kind>,
    /// By when the next byte of what is wanted comes.
    owed_by: Option<Instant>,
    age: Age,
}

/// Serves a stream to its end. `of` is the fleet and the node, by the certificate; `admitted` says whether the node may be here.
pub(crate) async fn serve(
    tapes: Arc<Tapes>,
    hub: Arc<Hub>,
    of: (String, String),
    admitted: impl Future<Output = Result<(), Status>> + Send,
    (mut incoming, outgoing): (impl Incoming, Outgoing),
) {
    let beginning = async {
        let instance = greeted(&mut incoming).await?;
        admitted.await?;
        let key = tapes.redaction_key(&of.0).await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok((instance, key))
    };
    let ended = match begun(&tapes.stop, beginning).await {
        Ok((instance, key)) => {
            let mut stream = Stream::begin(&tapes, hub, of, &instance);
            stream.welcome(&key);
            let ended = stream.run(&mut incoming, &outgoing).await;
            stream.end(&ended);
            ended
        }
        Err(refused) => Err(refused),
    };
    say_last(&outgoing, ended).await;
}

async fn greeted(incoming: &mut impl Incoming) -> Result<String, Status> {
    let first = first(incoming, "ShipHello").await?;
    let Some(ship_message::Kind::Hello(hello)) = first.and_then(|message| message.kind) else {
        return Err(Status::failed_precondition("a stream begins with ShipHello"));
    };
    SegmentId::new(&hello.instance, 1).map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(hello.instance)
}

impl Stream {
    fn begin(tapes: &Arc<Tapes>, hub: Arc<Hub>, of: (String, String), instance: &str) -> Self {
        Self {
            tapes: Arc::clone(tapes),
            hub,
            fleet: of.0,
            node: of.1.into(),
            instance: instance.into(),
            line: Line::default(),
            work: FuturesUnordered::new(),
            lent: BTreeMap::new(),
            queue: VecDeque::new(),
            owed_by: None,
            age: Age::new(),
        }
    }

    fn welcome(&mut self, key: &[u8; 32]) {
        self.queue.push_back(ship_reply::Kind::Welcome(ShipWelcome {
            redaction_key: Bytes::copy_from_slice(key),
            offers_max: u32::try_from(OFFERS_MAX).unwrap_or(u32::MAX),
            traffic_every_ms: u32::try_from(TRAFFIC_EVERY.as_millis()).unwrap_or(u32::MAX),
        }));
        self.tapes.live.begins(&self.fleet, &self.node);
        tracing::debug!(fleet = %self.fleet, node = %self.node, instance = %self.instance, "a node ships its tapes");
    }

    async fn run(&mut self, incoming: &mut impl Incoming, outgoing: &Outgoing) -> Result<(), Status> {
        let mut followed = self.tapes.live.followed(&self.fleet);
        let mut follows = false;
        let (mut look, mut ask) = (interval(REMOVED_EVERY), interval(REMOVED_ASKED_EVERY));
        let tapes = Arc::clone(&self.tapes);
        followed.mark_changed();
        loop {
            if self.queue.len() > QUEUE_MAX {
                return Err(Status::resource_exhausted("too much waits for this node to read it: connect again"));
            }
            tokio::select! {
                () = tapes.stop.cancelled() => return Err(stopping()),
                message = incoming.try_next(), if self.line.has_room() => match message {
                    Ok(Some(message)) => self.hear(message)?,
                    // The node has closed its side, or is gone.
                    Ok(None) | Err(_) => return Ok(()),
                },
                Some(worked) = self.work.next() => self.worked(worked)?,
                permit = outgoing.reserve(), if !self.queue.is_empty() => match (permit, self.queue.pop_front()) {
                    (Ok(permit), kind) => permit.send(Ok(ShipReply { kind })),
                    (Err(_), _) => return Ok(()),
                },
                Ok(()) = followed.changed() => self.follow(&mut followed, &mut follows),
                _ = look.tick() => if self.hub.is_removed(&self.fleet, &self.node) { return Err(removed()) },
                _ = ask.tick() => self.ask_whether_removed(),
                () = reached(self.owed_by) => {
                    return Err(Status::deadline_exceeded("nothing came of what was wanted for 30 s: connect again"));
                }
                () = sleep_until(self.age.until()) => {
                    let reconnect = self.age.leave()?;
                    self.queue.push_back(ship_reply::Kind::Reconnect(reconnect));
                }
            }
        }
    }

    fn end(&self, ended: &Result<(), Status>) {
        self.tapes.live.ends(&self.fleet, &self.node);
        let why = ended.as_ref().err().map_or("the node closed it", Status::message);
        tracing::debug!(fleet = %self.fleet, node = %self.node, why, "a node does not ship any more");
    }

    fn hear(&mut self, message: ShipMessage) -> Result<(), Status> {
        match message.kind {
            Some(ship_message::Kind::Offer(offer)) => self.step(Event::Offered(offer)),
            Some(ship_message::Kind::Chunk(chunk)) => self.step(Event::Came(chunk)),
            Some(ship_message::Kind::Live(live)) => {
                self.tapes.live.says(&self.fleet, (&self.node, &self.instance), live);
                Ok(())
            }
            Some(ship_message::Kind::Traffic(traffic)) => {
                self.tapes.traffic.note(&self.fleet, (&self.node, &self.instance), traffic.series);
                Ok(())
            }
            // A second hello, or something newer than this control plane.
            Some(ship_message::Kind::Hello(_)) | None => Ok(()),
        }
    }

    fn worked(&mut self, worked: Worked) -> Result<(), Status> {
        match worked {
            Worked::Event(event) => self.step(event),
            Worked::Lent(id, permit) => {
                self.lent.insert(id.clone(), permit);
                self.step(Event::Granted(id))
            }
            Worked::Asked(answer) => answer,
            Worked::Away(why) => {
                Err(Status::unavailable(format!("what was recorded cannot be stored now, keep it: {why}")))
            }
        }
    }

    fn ask_whether_removed(&self) {
        let (tapes, fleet, node) = (Arc::clone(&self.tapes), self.fleet.clone(), Arc::clone(&self.node));
        self.work.push(Box::pin(async move {
            // A database that is away keeps no node out.
            let kept = tapes.store.node(&fleet, &node).await.ok().flatten();
            Worked::Asked(if kept.is_some_and(|kept| kept.removed) { Err(removed()) } else { Ok(()) })
        }));
    }

    fn step(&mut self, event: Event) -> Result<(), Status> {
        let is_progress = matches!(&event, Event::Came(chunk) if !chunk.bytes.is_empty());
        for action in self.line.on(event).map_err(Status::invalid_argument)? {
            self.act(action);
        }
        self.owed_by = match self.owed_by {
            _ if !self.line.is_owed() => None,
            Some(by) if !is_progress => Some(by),
            _ => Some(Instant::now() + PROGRESS_WITHIN),
        };
        Ok(())
    }

    fn act(&mut self, action: Action) {
        let (ingest, fleet, node) = (self.tapes.ingest.clone(), self.fleet.clone(), self.node.to_string());
        match action {
            Action::Say(kind) => {
                if let ship_reply::Kind::Refused(refused) = &kind {
                    tracing::warn!(%fleet, %node, instance = %refused.instance, segment = refused.sequence, why = %refused.why,
                        "a segment is refused; its node offers it again, or gives it up");
                    ingest.metrics.segment_refused(&fleet);
                }
                self.queue.push_back(kind);
            }
            Action::Settled(id) => drop(self.lent.remove(&id)),
            Action::Borrow(id, bytes) => {
                let budget = Arc::clone(&self.tapes.budget);
                self.work.push(Box::pin(async move {
                    match budget.acquire_many_owned(bytes).await {
                        Ok(permit) => Worked::Lent(id, permit),
                        Err(closed) => Worked::Away(closed.to_string()),
                    }
                }));
            }
            Action::Look(id, digest, messages) => self.work.push(Box::pin(async move {
                let offered = Offered { fleet: &fleet, node: &node, id: &id, digest: &digest, messages: &messages };
                match ingest.look(offered).await {
                    Ok(known) => Worked::Event(Event::Looked(id, known)),
                    Err(Failure::Away(why) | Failure::Never(why)) => Worked::Away(why),
                }
            })),
            Action::Keep(id, hash, packed) => {
                let bytes = u32::try_from(packed.len()).unwrap_or(u32::MAX);
                self.work.push(Box::pin(async move {
                    judged(ingest.keep(&fleet, hash, packed).await, |kept| Event::Kept(id, (hash, bytes), kept))
                }));
            }
            Action::Store(offer, bytes) => self.work.push(Box::pin(store(ingest, (fleet, node), offer, bytes))),
        }
    }

    fn follow(&mut self, followed: &mut watch::Receiver<usize>, follows: &mut bool) {
        let wanted = *followed.borrow_and_update() > 0;
        if wanted != *follows {
            *follows = wanted;
            self.queue.push_back(ship_reply::Kind::Follow(FollowRecords { wanted }));
        }
    }
}

async fn store(ingest: super::ingest::Ingest, of: (String, String), offer: Box<Offer>, bytes: Bytes) -> Worked {
    let id = offer.id.clone();
    let under_way = ingest.metrics.segment_under_way();
    let stored = ingest.store(of, offer, bytes).await;
    drop(under_way);
    judged(stored, |done| Event::Done(id, done))
}

/// What the line hears of something that is durable or never will be; what is away ends the stream.
fn judged(outcome: Result<(), Failure>, event: impl FnOnce(Result<(), String>) -> Event) -> Worked {
    match outcome {
        Ok(()) => Worked::Event(event(Ok(()))),
        Err(Failure::Never(why)) => Worked::Event(event(Err(why))),
        Err(Failure::Away(why)) => Worked::Away(why),
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
