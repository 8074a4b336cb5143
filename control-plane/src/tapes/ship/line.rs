//! What is wanted of one node, and when: a state machine that knows no socket, no clock and no store.
//!
//! ```text
//!  offered ─▶ Looking ─▶ Waiting ─▶ Borrowing ─▶ Coming ─▶ Storing ─▶ stored
//!                │                                 │          │
//!                └──▶ stored already               └──────────┴─▶ refused
//! ```
//!
//! Invariants, each tested:
//! - What is under way (from `Borrowing` to `Storing`) is bounded: [`UNDER_WAY_MAX`] segments, and [`BYTES_UNDER_WAY`] unless it is one.
//! - `stored` is said once for each offer, after the store said so.
//! - What comes and was not wanted ends the stream; what comes and is not what was offered is refused, and may be offered again.
//! - A message that is not what its hash says costs its segment nothing but the message.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use shadowcat_proto::fleet::v1::{
    SegmentChunk, SegmentOffer, SegmentRefused, SegmentStored, SegmentWanted, ship_reply,
};
use shadowcat_tape::segment::SegmentId;

use super::offer::{MESSAGE_BYTES_MAX, Offer};
use crate::tapes::index::Known;

/// Segments that a node may offer beyond those stored or refused: enough that the next is known when one is stored.
pub(super) const OFFERS_MAX: usize = 16;

/// Segments of one stream that are wanted and not yet stored.
const UNDER_WAY_MAX: usize = 4;

/// Their bytes. One segment is wanted whatever its size.
const BYTES_UNDER_WAY: u32 = 8 * 1024 * 1024;

/// A piece of a segment: what the schema says.
const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    Offered(SegmentOffer),
    /// What is known of a segment that was looked for.
    Looked(SegmentId, Known),
    /// The memory for a segment is there.
    Granted(SegmentId),
    Came(SegmentChunk),
    /// A message of this segment, by its hash and its bytes, is durable; or why it never will be.
    Kept(SegmentId, ([u8; 32], u32), Result<(), String>),
    /// This segment is; or why it never will be.
    Done(SegmentId, Result<(), String>),
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Is it stored already, with this digest, and which of its messages are?
    Look(SegmentId, [u8; 32], Vec<[u8; 32]>),
    /// So many bytes of the memory that streams share are needed.
    Borrow(SegmentId, u32),
    /// Keep a message of this segment.
    Keep(SegmentId, [u8; 32], Bytes),
    /// Store a segment, whose messages are kept.
    Store(Box<Offer>, Bytes),
    /// Nothing of this segment is under way any more.
    Settled(SegmentId),
    Say(ship_reply::Kind),
}

/// A stream that breaks the protocol, in words.
pub(super) type Broken = &'static str;

#[derive(Debug)]
enum Phase {
    Looking,
    Waiting(VecDeque<[u8; 32]>),
    Borrowing(VecDeque<[u8; 32]>),
    Coming(Coming),
    /// Refused while it came: what is left of it is passed over.
    Passing,
    Storing,
}

/// A segment that comes.
#[derive(Debug, Default)]
struct Coming {
    /// Messages that are still to come.
    messages: VecDeque<[u8; 32]>,
    /// Messages that came and are not yet durable.
    keeping: usize,
    /// What came of the message, or of the segment, that is coming.
    part: Vec<u8>,
    /// The whole segment.
    whole: Option<Bytes>,
}

/// Whether more of a segment is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Comes,
    Came,
}

/// One node's line.
#[derive(Debug, Default)]
pub(super) struct Line {
    offers: BTreeMap<SegmentId, (Offer, Phase)>,
    /// The order in which they were offered, of those that wait.
    waiting: VecDeque<SegmentId>,
    /// The segment whose pieces come now.
    current: Option<SegmentId>,
    /// Bytes of messages that are not yet durable.
    keeping: u32,
}

impl Line {
    /// Takes an event to what follows from it, in order.
    pub(super) fn on(&mut self, event: Event) -> Result<Vec<Action>, Broken> {
        let mut actions = match event {
            Event::Offered(offer) => self.offered(&offer)?,
            Event::Looked(id, known) => self.looked(id, known),
            Event::Granted(id) => self.granted(id),
            Event::Came(chunk) => self.came(chunk)?,
            Event::Kept(id, message, kept) => self.kept(&id, message, &kept),
            Event::Done(id, done) => self.done(id, done),
        };
        self.want_more(&mut actions);
        Ok(actions)
    }

    /// Whether the next message of the node can be taken: what it sends waits on its side else.
    pub(super) fn has_room(&self) -> bool {
        self.keeping < MESSAGE_BYTES_MAX
    }

    /// Whether the node is to send something now: it holds memory until it does.
    pub(super) fn is_owed(&self) -> bool {
        let is_owed = |phase: &Phase| match phase {
            Phase::Coming(coming) => coming.whole.is_none(),
            Phase::Passing => true,
            Phase::Looking | Phase::Waiting(_) | Phase::Borrowing(_) | Phase::Storing => false,
        };
        self.has_room() && self.offers.values().any(|(_, phase)| is_owed(phase))
    }

    fn offered(&mut self, offer: &SegmentOffer) -> Result<Vec<Action>, Broken> {
        let id = SegmentId { instance: offer.instance.clone(), sequence: offer.sequence };
        if self.offers.contains_key(&id) {
            return Err("a segment is offered once until it is stored or refused");
        }
        if self.offers.len() >= OFFERS_MAX {
            return Err("more segments are offered than the welcome allows");
        }
        match Offer::read(offer) {
            Ok(offer) => {
                let (digest, messages) = (offer.digest, offer.messages.iter().map(|(hash, _)| *hash).collect());
                self.offers.insert(id.clone(), (offer, Phase::Looking));
                Ok(vec![Action::Look(id, digest, messages)])
            }
            Err(why) => Ok(vec![refuse(&id, why)]),
        }
    }

    fn looked(&mut self, id: SegmentId, known: Known) -> Vec<Action> {
        let Some((_, phase)) = self.offers.get_mut(&id) else { return Vec::new() };
        match known {
            Known::Missing(messages) => {
                *phase = Phase::Waiting(messages.into());
                self.waiting.push_back(id);
                Vec::new()
            }
            Known::Stored => self.settle(id, Ok(())),
        }
    }

    fn granted(&mut self, id: SegmentId) -> Vec<Action> {
        let Some((_, phase)) = self.offers.get_mut(&id) else { return Vec::new() };
        let Phase::Borrowing(messages) = phase else { return Vec::new() };
        let blobs = messages.iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
        *phase = Phase::Coming(Coming { messages: std::mem::take(messages), ..Coming::default() });
        vec![Action::Say(ship_reply::Kind::Wanted(SegmentWanted {
            instance: id.instance,
            sequence: id.sequence,
            blobs,
        }))]
    }

    fn came(&mut self, chunk: SegmentChunk) -> Result<Vec<Action>, Broken> {
        let id = SegmentId { instance: chunk.instance, sequence: chunk.sequence };
        if self.current.as_ref().is_some_and(|current| *current != id) {
            return Err("pieces of different segments do not mix");
        }
        if chunk.bytes.len() > CHUNK_BYTES_MAX {
            return Err("a piece of a segment has 256 KiB at most");
        }
        let rest = if chunk.last && chunk.blob.is_empty() { Rest::Came } else { Rest::Comes };
        self.current = (rest == Rest::Comes).then(|| id.clone());
        let Some((offer, phase)) = self.offers.get_mut(&id) else { return Err("this segment is not wanted") };
        let coming = match phase {
            Phase::Coming(coming) if coming.whole.is_none() => coming,
            Phase::Passing if rest == Rest::Came => return Ok(self.forget(id)),
            Phase::Passing => return Ok(Vec::new()),
            _ => return Err("this segment is not wanted"),
        };
        let message = coming.messages.front().copied();
        if message.as_ref().map_or(&[][..], |hash| &hash[..]) != &*chunk.blob {
            return Err("messages come in the order in which they were wanted, and the segment behind them");
        }
        coming.part.extend_from_slice(&chunk.bytes);
        let expected = message.map_or(offer.bytes, |hash| offer.message_bytes(&hash)) as usize;
        if coming.part.len() > expected || (chunk.last && coming.part.len() < expected) {
            return Ok(self.give_up(id, rest, "it has not as many bytes as were offered".to_owned()));
        }
        if !chunk.last {
            return Ok(Vec::new());
        }
        let part = Bytes::from(std::mem::take(&mut coming.part));
        if let Some(hash) = message {
            coming.messages.pop_front();
            coming.keeping += 1;
            self.keeping = self.keeping.saturating_add(offer.message_bytes(&hash));
            return Ok(vec![Action::Keep(id, hash, part)]);
        }
        if *blake3::hash(&part).as_bytes() != offer.digest {
            return Ok(self.give_up(id, Rest::Came, "it is not what was offered: its digest is another".to_owned()));
        }
        coming.whole = Some(part);
        Ok(self.store(&id))
    }

    fn kept(&mut self, id: &SegmentId, (hash, bytes): ([u8; 32], u32), kept: &Result<(), String>) -> Vec<Action> {
        self.keeping = self.keeping.saturating_sub(bytes);
        let Some((offer, Phase::Coming(coming))) = self.offers.get_mut(id) else { return Vec::new() };
        coming.keeping -= 1;
        if let Err(why) = kept {
            offer.spoil(&hash, why);
        }
        self.store(id)
    }

    /// Stores a segment that is whole and whose messages are durable.
    fn store(&mut self, id: &SegmentId) -> Vec<Action> {
        let Some((offer, phase)) = self.offers.get_mut(id) else { return Vec::new() };
        let Phase::Coming(Coming { keeping: 0, whole: whole @ Some(_), .. }) = phase else { return Vec::new() };
        let Some(bytes) = whole.take() else { return Vec::new() };
        *phase = Phase::Storing;
        vec![Action::Store(Box::new(offer.clone()), bytes)]
    }

    fn done(&mut self, id: SegmentId, done: Result<(), String>) -> Vec<Action> {
        if !matches!(self.offers.get(&id), Some((_, Phase::Storing))) {
            return Vec::new();
        }
        self.settle(id, done)
    }

    /// Refuses a segment. If more of it comes, it is passed over.
    fn give_up(&mut self, id: SegmentId, rest: Rest, why: String) -> Vec<Action> {
        if rest == Rest::Came {
            return self.settle(id, Err(why));
        }
        if let Some((_, phase)) = self.offers.get_mut(&id) {
            *phase = Phase::Passing;
        }
        vec![refuse(&id, why)]
    }

    fn settle(&mut self, id: SegmentId, done: Result<(), String>) -> Vec<Action> {
        let said = match done {
            Ok(()) => {
                let (instance, sequence) = (id.instance.clone(), id.sequence);
                Action::Say(ship_reply::Kind::Stored(SegmentStored { instance, sequence }))
            }
            Err(why) => refuse(&id, why),
        };
        let mut actions = self.forget(id);
        actions.push(said);
        actions
    }

    fn forget(&mut self, id: SegmentId) -> Vec<Action> {
        self.offers.remove(&id);
        vec![Action::Settled(id)]
    }

    /// Wants what fits into the credit, in the order of the offers.
    fn want_more(&mut self, actions: &mut Vec<Action>) {
        while let Some(next) = self.waiting.front() {
            let under_way = self.offers.values().filter(|(_, phase)| {
                matches!(phase, Phase::Borrowing(_) | Phase::Coming(_) | Phase::Passing | Phase::Storing)
            });
            let (count, bytes) =
                under_way.fold((0, 0_u32), |(count, bytes), (offer, _)| (count + 1, bytes + offer.cost()));
            let Some((offer, phase)) = self.offers.get_mut(next) else { return };
            let fits = count < UNDER_WAY_MAX && bytes + offer.cost() <= BYTES_UNDER_WAY;
            let Phase::Waiting(messages) = phase else { return };
            if count > 0 && !fits {
                return;
            }
            *phase = Phase::Borrowing(std::mem::take(messages));
            actions.push(Action::Borrow(next.clone(), offer.cost()));
            self.waiting.pop_front();
        }
    }
}

fn refuse(id: &SegmentId, why: String) -> Action {
    let (instance, sequence) = (id.instance.clone(), id.sequence);
    Action::Say(ship_reply::Kind::Refused(SegmentRefused { instance, sequence, why }))
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
