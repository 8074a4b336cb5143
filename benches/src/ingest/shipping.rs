//! A simulated node that ships as fast as the control plane takes it, and when what it shipped was stored.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::stream::poll_fn;
use shadowcat_proto::fleet::v1::ship_message::Kind as Said;
use shadowcat_proto::fleet::v1::ship_reply::Kind as Heard;
use shadowcat_proto::fleet::v1::{SegmentChunk, SegmentWanted, ShipHello, ShipMessage};
use tokio::sync::mpsc;

use super::traffic::{Example, Recorder, Sealed};
use crate::plane::join::Member;

/// Messages that wait to be sent, as real nodes have it.
const OUTBOX: usize = 8;

/// A piece of a segment, as real nodes have it.
const PIECE_BYTES: usize = 256 * 1024;

/// What a rate is promised for.
const MINUTE: Duration = Duration::from_secs(60);

/// Calls of each node that are remembered, to be asked for.
const EXAMPLES: usize = 200;

/// How much is to be shipped by all together, and what was stored when.
pub(super) struct Goal {
    /// Frames that are still to be recorded.
    left: AtomicI64,
    stored: Mutex<Stored>,
}

/// What was stored when.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    began: Instant,
    /// Since the beginning, in order; and how many frames.
    segments: Vec<(Duration, u64)>,
}

impl Goal {
    pub(super) fn new(frames: u64) -> Self {
        let stored = Stored { began: Instant::now(), segments: Vec::new() };
        Self { left: AtomicI64::new(i64::try_from(frames).unwrap_or(i64::MAX)), stored: Mutex::new(stored) }
    }

    pub(super) fn stored(&self) -> Stored {
        self.stored.lock().expect("nobody panics while it is locked").clone()
    }

    fn is_reached(&self) -> bool {
        self.left.load(Ordering::Relaxed) <= 0
    }

    fn recorded(&self, frames: u64) {
        self.left.fetch_sub(i64::try_from(frames).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    fn is_stored(&self, frames: u64) {
        let mut stored = self.stored.lock().expect("nobody panics while it is locked");
        let at = stored.began.elapsed();
        stored.segments.push((at, frames));
    }
}

impl Stored {
    pub(super) fn frames(&self) -> u64 {
        self.segments.iter().map(|(_, frames)| frames).sum()
    }

    /// Until the last segment was stored.
    pub(super) fn seconds(&self) -> f64 {
        self.segments.last().map_or(0.0, |(at, _)| at.as_secs_f64())
    }

    /// Frames a second of the slowest minute within; none if all of it is shorter.
    pub(super) fn slowest_minute(&self) -> Option<f64> {
        let end = self.segments.last()?.0;
        // A minute that is slow begins right behind a segment, or with everything.
        let starts = [Duration::ZERO].into_iter().chain(self.segments.iter().map(|(at, _)| *at));
        let minutes = starts.filter(|start| *start + MINUTE <= end).map(|start| {
            let within = |(at, _): &&(Duration, u64)| (start..=start + MINUTE).contains(at) && *at != start;
            self.segments.iter().filter(within).map(|(_, frames)| *frames).sum::<u64>() as f64 / MINUTE.as_secs_f64()
        });
        minutes.reduce(f64::min)
    }
}

/// A node.
pub(super) struct Shipper {
    member: Member,
    recorder: Recorder,
    plain_bytes: u64,
    examples: Vec<Example>,
}

/// What is under way on its line.
struct Line {
    outbox: mpsc::Sender<ShipMessage>,
    /// Offered and not stored yet.
    offered: BTreeMap<u64, Sealed>,
}

impl Shipper {
    pub(super) fn new(member: Member, recorder: Recorder) -> Self {
        Self { member, recorder, plain_bytes: 0, examples: Vec::new() }
    }

    /// Bytes of what it recorded, before compression.
    pub(super) fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// Some of the calls that it recorded.
    pub(super) fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// Records and ships until the goal is reached by all together.
    pub(super) async fn ship(&mut self, goal: &Goal) -> anyhow::Result<()> {
        let mut client = self.member.dial().await?;
        let (outbox, mut queue) = mpsc::channel(OUTBOX);
        let mut line = Line { outbox, offered: BTreeMap::new() };
        line.say(Said::Hello(ShipHello { instance: self.recorder.instance().to_owned() })).await?;
        let mut inbox = client.ship(poll_fn(move |context| queue.poll_recv(context))).await?.into_inner();
        let mut offers_max = 0;
        loop {
            while line.offered.len() < offers_max && !goal.is_reached() {
                let sealed = self.record(goal)?;
                line.say(Said::Offer(sealed.offer.clone())).await?;
                line.offered.insert(sealed.offer.sequence, sealed);
            }
            if offers_max > 0 && line.offered.is_empty() {
                return Ok(());
            }
            let heard = inbox.message().await?.context("the control plane closed the line")?;
            match heard.kind {
                Some(Heard::Welcome(welcome)) => offers_max = welcome.offers_max.max(1) as usize,
                Some(Heard::Wanted(wanted)) => line.send(&wanted).await?,
                Some(Heard::Stored(stored)) => {
                    let sealed = line.offered.remove(&stored.sequence).context("stored, and was not offered")?;
                    goal.is_stored(sealed.frames);
                }
                Some(Heard::Refused(refused)) => bail!("a segment is refused: {}", refused.why),
                other => bail!("a message that was not due: {other:?}"),
            }
        }
    }

    /// On a thread of the runtime: milliseconds, which real nodes take as well.
    fn record(&mut self, goal: &Goal) -> anyhow::Result<Sealed> {
        let sealed = self.recorder.seal()?;
        goal.recorded(sealed.frames);
        self.plain_bytes += sealed.plain_bytes;
        if self.examples.len() < EXAMPLES {
            self.examples.push(sealed.example.clone());
        }
        Ok(sealed)
    }
}

impl Line {
    async fn say(&self, kind: Said) -> anyhow::Result<()> {
        self.outbox.send(ShipMessage { kind: Some(kind) }).await.context("the control plane takes nothing any more")
    }

    async fn send(&self, wanted: &SegmentWanted) -> anyhow::Result<()> {
        let sealed = self.offered.get(&wanted.sequence).context("wanted, and was not offered")?;
        let count = sealed.bytes.len().div_ceil(PIECE_BYTES);
        for (index, piece) in sealed.bytes.chunks(PIECE_BYTES).enumerate() {
            self.say(Said::Chunk(SegmentChunk {
                instance: wanted.instance.clone(),
                sequence: wanted.sequence,
                blob: Bytes::new(),
                last: index + 1 == count,
                bytes: sealed.bytes.slice_ref(piece),
            }))
            .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(segments: &[(u64, u64)]) -> Stored {
        let segments = segments.iter().map(|(second, frames)| (Duration::from_secs(*second), *frames)).collect();
        Stored { began: Instant::now(), segments }
    }

    #[test]
    fn the_slowest_minute_is_the_one_with_the_fewest_frames() {
        let steady: Vec<_> = (1..=120).map(|second| (second, 100)).collect();
        assert_eq!(stored(&steady).slowest_minute(), Some(100.0));
        let stalled: Vec<_> =
            (1..=120).map(|second| (second, if (60..90).contains(&second) { 0 } else { 100 })).collect();
        assert_eq!(stored(&stalled).slowest_minute(), Some(50.0));
    }

    #[test]
    fn what_was_over_sooner_has_no_slowest_minute() {
        assert_eq!(stored(&[(1, 1_000_000), (59, 1_000_000)]).slowest_minute(), None);
        assert_eq!(stored(&[]).slowest_minute(), None);
    }
}
