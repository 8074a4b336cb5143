//! One line, from the greeting to its end.
//!
//! Bounds: [`OUTBOX`] pieces wait for the socket, and what makes them waits with them; one segment is read at a time; what is offered
//! is bounded by the control plane.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::FutureExt as _;
use futures_util::stream::poll_fn;
use shadowcat_proto::fleet::v1 as wire;
use shadowcat_proto::fleet::v1::fleet_client::FleetClient;
use shadowcat_proto::fleet::v1::ship_message::Kind;
use shadowcat_proto::fleet::v1::ship_reply::Kind as Reply;
use shadowcat_tape::segment::SegmentId;
use shadowcat_tape::spool::Shelf;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, timeout_at};
use tonic::Streaming;
use tonic::transport::Channel;

use super::super::ending::LineError;
use super::super::line::Violation;
use super::super::talk::{Slot, done, reached};
use super::desk::{Desk, Refusal, Wanted};
use crate::gateway::Control;
use crate::observe::TrafficTotals;
use crate::record::{Live, Records};

/// The control plane has this long for its welcome.
const WELCOME_WAIT: Duration = Duration::from_secs(10);

/// Pieces waiting to be sent: 2 MiB.
const OUTBOX: usize = 8;

/// Bytes of a piece.
const PIECE_BYTES: usize = 256 * 1024;

/// Segments looked at for one round of offers: reading them for their digests takes milliseconds.
const OFFERED_AT_ONCE: usize = 16;

/// What calls come to is told no more often, whatever the control plane wants.
const TRAFFIC_EVERY_MIN: Duration = Duration::from_secs(1);

/// Records of one message to those who follow.
const LIVE_AT_ONCE: usize = 256;

/// A line that is about to be held.
pub(super) struct ShipLine<'a> {
    pub(super) control: &'a Control,
    pub(super) records: &'a Records,
    /// When the control plane said welcome.
    pub(super) welcomed: &'a mut Option<Instant>,
}

/// What is under way on the line.
struct Talk {
    desk: Desk,
    outbox: mpsc::Sender<wire::ShipMessage>,
    /// Changes when a segment is sealed.
    sealed: watch::Receiver<u64>,
    offering: Slot<'static, Vec<wire::SegmentOffer>>,
    sending: Slot<'static, Result<(), LineError>>,
    following: Option<Live>,
    traffic_at: Option<Instant>,
    traffic_every: Duration,
    leave_at: Option<Instant>,
}

impl ShipLine<'_> {
    /// Holds the line until it ends; `Ok` if that was the control plane's wish.
    pub(super) async fn hold(self, mut client: FleetClient<Channel>) -> Result<(), LineError> {
        let (outbox, mut queue) = mpsc::channel(OUTBOX);
        let welcome_by = Instant::now() + WELCOME_WAIT;
        let hello = wire::ShipHello { instance: self.control.shared.instance.to_string() };
        outbox.try_send(message(Kind::Hello(hello))).map_err(|_| LineError::Stuck)?;
        let opened = timeout_at(welcome_by, client.ship(poll_fn(move |cx| queue.poll_recv(cx)))).await;
        let mut inbox = opened.map_err(|_| LineError::Silent)??.into_inner();
        let first = timeout_at(welcome_by, inbox.message()).await.map_err(|_| LineError::Silent)??;
        let Some(Reply::Welcome(welcome)) = first.and_then(|reply| reply.kind) else {
            return Err(Violation::Greeting.into());
        };
        let key = <[u8; 32]>::try_from(&*welcome.redaction_key).map_err(|_| Violation::Key)?;
        self.records.rekey(key);
        *self.welcomed = Some(Instant::now());
        self.records.connected();
        let traffic_every = Duration::from_millis(welcome.traffic_every_ms.into()).max(TRAFFIC_EVERY_MIN);
        let (desk, sealed) = (Desk::default(), self.records.sealed.clone());
        let mut talk = Talk {
            desk,
            outbox,
            sealed,
            offering: None,
            sending: None,
            following: None,
            traffic_at: Some(Instant::now()),
            traffic_every,
            leave_at: None,
        };
        talk.desk.open(welcome.offers_max);
        self.talk(&mut inbox, &mut talk).await
    }

    async fn talk(&self, inbox: &mut Streaming<wire::ShipReply>, talk: &mut Talk) -> Result<(), LineError> {
        let mut look = true;
        loop {
            if look && talk.offering.is_none() && talk.desk.room() > 0 {
                talk.offering = self.offers(&talk.desk);
                look = false;
            }
            if talk.sending.is_none()
                && let Some(wanted) = talk.desk.next()
            {
                talk.sending = Some(send(Arc::clone(&self.records.shelf), wanted, talk.outbox.clone()).boxed());
            }
            tokio::select! {
                reply = inbox.message() => {
                    let reply = reply?.ok_or_else(|| LineError::Ended("the control plane closed it".to_owned()))?;
                    look |= self.take(reply, talk).await?;
                }
                changed = talk.sealed.changed() => {
                    changed.map_err(|_| LineError::Ended("the recorder has stopped".to_owned()))?;
                    look = true;
                }
                offers = done(&mut talk.offering) => {
                    self.offer(offers, talk).await?;
                    // Those that cannot be read are passed over now, and hide others.
                    look = true;
                }
                sent = done(&mut talk.sending) => sent?,
                live = next(&mut talk.following) => {
                    talk.outbox.send(message(Kind::Live(live))).await.map_err(|_| LineError::Stuck)?;
                }
                () = reached(talk.traffic_at) => {
                    talk.traffic_at = Some(Instant::now() + talk.traffic_every);
                    let traffic = message(Kind::Traffic(traffic(self.control)));
                    talk.outbox.send(traffic).await.map_err(|_| LineError::Stuck)?;
                }
                () = reached(talk.leave_at) => return Ok(()),
            }
        }
    }

    /// Takes a reply; true if there may be more to offer.
    async fn take(&self, reply: wire::ShipReply, talk: &mut Talk) -> Result<bool, LineError> {
        match reply.kind {
            Some(Reply::Wanted(wanted)) => talk.desk.want(&wanted)?,
            Some(Reply::Stored(wire::SegmentStored { instance, sequence })) => {
                return match talk.desk.stored(&instance, sequence)? {
                    Some(segment) => Ok(self.forget(segment, Shelf::remove).await),
                    None => Ok(false),
                };
            }
            Some(Reply::Refused(refused)) => return self.refused(refused, talk).await,
            Some(Reply::Follow(follow)) => talk.following = follow.wanted.then(|| self.records.recorder.follow()),
            Some(Reply::Reconnect(reconnect)) => {
                talk.leave_at = Some(Instant::now() + Duration::from_millis(reconnect.after_ms.into()));
            }
            Some(Reply::Welcome(_)) => return Err(Violation::Greeting.into()),
            // A later control plane may say more.
            None => {}
        }
        Ok(false)
    }

    /// Takes a refusal; true if there may be more to offer. What came on a bad day is read and offered again.
    async fn refused(&self, refused: wire::SegmentRefused, talk: &mut Talk) -> Result<bool, LineError> {
        let wire::SegmentRefused { instance, sequence, why } = refused;
        match talk.desk.refused(&instance, sequence)? {
            Refusal::Nothing => Ok(false),
            Refusal::OfferAgain => {
                tracing::warn!(instance, sequence, why, "the control plane refuses a segment: it is offered again");
                Ok(true)
            }
            Refusal::GiveUp(segment) => {
                tracing::error!(
                    instance,
                    sequence,
                    why,
                    "the control plane refuses a segment again and again: it is given up, and the record says so"
                );
                Ok(self.forget(segment, Shelf::give_up).await)
            }
        }
    }

    /// Takes a segment that is settled off the shelf; true, because another may be offered.
    async fn forget(&self, segment: SegmentId, settle: fn(&Shelf, &SegmentId) -> io::Result<()>) -> bool {
        let (shelf, sequence) = (Arc::clone(&self.records.shelf), segment.sequence);
        let removed = spawn_blocking(move || settle(&shelf, &segment)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, sequence, "a settled segment stays on this disk for now");
        }
        self.records.settled();
        true
    }

    /// Reads what may be offered now.
    fn offers(&self, desk: &Desk) -> Slot<'static, Vec<wire::SegmentOffer>> {
        let known = self.records.shelf.oldest(desk.room() + OFFERED_AT_ONCE + OUTBOX * OFFERED_AT_ONCE);
        let fresh = known.into_iter().filter(|sealed| !desk.has(&sealed.id));
        let fresh: Vec<_> = fresh.take(desk.room().min(OFFERED_AT_ONCE)).collect();
        if fresh.is_empty() {
            return None;
        }
        let shelf = Arc::clone(&self.records.shelf);
        let reading = spawn_blocking(move || {
            let read = fresh.into_iter().filter_map(|sealed| {
                let bytes = shelf.read(&sealed.id).ok()?;
                let blobs = sealed.blobs.iter().filter_map(|blob| {
                    let hash = blake3_of(&blob.hash)?;
                    Some(wire::Blob { hash: Bytes::copy_from_slice(&hash), bytes: length(blob.bytes) })
                });
                Some(wire::SegmentOffer {
                    instance: sealed.id.instance.clone(),
                    sequence: sealed.id.sequence,
                    bytes: length(bytes.len() as u64),
                    digest: Bytes::copy_from_slice(blake3::hash(&bytes).as_bytes()),
                    first_record: sealed.first_seq,
                    last_record: sealed.last_seq,
                    blobs: blobs.collect(),
                })
            });
            read.collect()
        });
        Some(reading.map(Result::unwrap_or_default).boxed())
    }

    async fn offer(&self, offers: Vec<wire::SegmentOffer>, talk: &mut Talk) -> Result<(), LineError> {
        // What could not be read is passed over from now on, and nobody is to wait for it.
        self.records.settled();
        for offer in offers {
            if let Ok(segment) = SegmentId::new(&offer.instance, offer.sequence) {
                talk.desk.offered(segment);
                talk.outbox.send(message(Kind::Offer(offer))).await.map_err(|_| LineError::Stuck)?;
            }
        }
        Ok(())
    }
}

/// What the calls of the running configuration's routes came to, kind by kind as far as kinds are told apart.
fn traffic(control: &Control) -> wire::Traffic {
    let runtime = control.running();
    let mut series = vec![wire::TrafficSeries::from(control.factory.rest())];
    for route in runtime.routes.iter() {
        series.extend(route.calls.traffic().into_iter().map(|(method, tool, totals)| wire::TrafficSeries {
            route: route.name.to_string(),
            upstream: route.target.name.to_string(),
            method,
            tool,
            ..totals.into()
        }));
    }
    wire::Traffic { series }
}

impl From<TrafficTotals> for wire::TrafficSeries {
    fn from(totals: TrafficTotals) -> Self {
        let TrafficTotals { calls, errors, latency } = totals;
        Self { calls, errors, latency, ..Self::default() }
    }
}

fn message(kind: Kind) -> wire::ShipMessage {
    wire::ShipMessage { kind: Some(kind) }
}

fn length(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn blake3_of(hex: &str) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(hex).ok().map(Into::into)
}

/// What those who follow hear next; never while nobody follows.
async fn next(following: &mut Option<Live>) -> wire::LiveRecords {
    match following {
        Some(live) => {
            let (records, skipped) = live.next(LIVE_AT_ONCE).await;
            wire::LiveRecords { records, skipped }
        }
        None => pending().await,
    }
}

/// Sends a segment, its blobs first. One that is gone meanwhile was dropped for want of room: the control plane learns so from the
/// record, and gives up waiting for it.
async fn send(shelf: Arc<Shelf>, wanted: Wanted, outbox: mpsc::Sender<wire::ShipMessage>) -> Result<(), LineError> {
    let Wanted { segment, blobs } = wanted;
    for hash in blobs {
        let (shelf, id) = (Arc::clone(&shelf), segment.clone());
        let hex = blake3::Hash::from(hash).to_hex();
        let bytes = read(spawn_blocking(move || shelf.read_blob(&id, &hex)).await)?;
        pieces(&segment, Bytes::copy_from_slice(&hash), bytes, &outbox).await?;
    }
    let id = segment.clone();
    let bytes = read(spawn_blocking(move || shelf.read(&id)).await)?;
    pieces(&segment, Bytes::new(), bytes, &outbox).await
}

/// What was read. What is gone is sent as nothing; what cannot be read now stays, and is offered again on the next line.
fn read(read: Result<io::Result<Vec<u8>>, JoinError>) -> Result<Bytes, LineError> {
    match read.map_err(io::Error::from).flatten() {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Bytes::new()),
        Err(error) => Err(LineError::Ended(format!("a segment cannot be read from the spool: {error}"))),
    }
}

/// What is gone is sent as nothing, which does not fit its digest: the control plane refuses it at once, and it is not there to be offered
/// again.
async fn pieces(
    segment: &SegmentId,
    blob: Bytes,
    mut bytes: Bytes,
    outbox: &mpsc::Sender<wire::ShipMessage>,
) -> Result<(), LineError> {
    loop {
        let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
        let last = bytes.is_empty();
        let chunk = wire::SegmentChunk {
            instance: segment.instance.clone(),
            sequence: segment.sequence,
            blob: blob.clone(),
            last,
            bytes: piece,
        };
        outbox.send(message(Kind::Chunk(chunk))).await.map_err(|_| LineError::Stuck)?;
        if last {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::observe::{BUCKETS, KINDS_MAX, TOOL_BYTES_MAX};

    #[test]
    fn what_all_kinds_of_calls_come_to_fits_a_message() {
        const NAME_BYTES: usize = 63;
        const CALLS: u64 = 1 << 34;
        let series = wire::TrafficSeries {
            route: "r".repeat(NAME_BYTES),
            upstream: "u".repeat(NAME_BYTES),
            method: "notifications/roots/list_changed".to_owned(),
            tool: "t".repeat(TOOL_BYTES_MAX),
            calls: CALLS,
            errors: CALLS,
            latency: vec![CALLS; BUCKETS],
        };
        let traffic = wire::Traffic { series: vec![series; KINDS_MAX + 1] };
        let bytes = message(Kind::Traffic(traffic)).encoded_len();
        assert!(bytes < 1024 * 1024, "a control plane takes a MiB, and this has {bytes} bytes");
    }
}
