//! Deletes what an operator selects: from the index at once, from objects soon after ([`retention`](super::retention)).
//!
//! Frames are looked up page by page, back in time, and removed segment by segment, each in a transaction of its own. What was
//! removed stays removed whenever this ends; whoever asks again gets the rest.
//!
//! Invariants: what is on hold stays and is told. Ids are looked up before anything is removed, because a frame that is gone does not
//! tell any more to which operation it belonged.

use std::collections::{BTreeMap, BTreeSet};

use super::Tapes;
use super::index::{Filter, FoundFrame, Position, Removal, What, Which, Why};
use super::query::now;
use crate::store::StoreError;

/// Frames that are looked up at once.
const PAGE: u32 = 1_000;

/// Frames of one deletion by ids, which are all known before the first goes: 16 MiB of places. More are refused.
const PLACES_MAX: usize = 1_000_000;

/// Time that is looked at first, in microseconds: an hour. Each further span is as much longer as [`SPAN_GROWS`] says, so that what is
/// rare is found in few questions, none of which goes through everything.
const SPAN: i64 = 60 * 60 * 1_000_000;

/// See [`SPAN`].
const SPAN_GROWS: i64 = 4;

/// Whether anything is really deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Really,
    /// It is only counted.
    Counted,
}

/// What was deleted, or would be.
#[derive(Debug, Default)]
pub(crate) struct Deleted {
    pub(crate) frames: u64,
    /// Bytes of their messages as they were received.
    pub(crate) bytes: u64,
    /// Tapes that fit and are on hold.
    pub(crate) held: BTreeSet<String>,
}

/// Why a deletion ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undeleted {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("selection.ids: they stand for more than {PLACES_MAX} frames: delete in parts, with since and until")]
    TooMany,
}

struct Deletion<'a> {
    tapes: &'a Tapes,
    filter: &'a Filter,
    how: How,
    on_hold: BTreeSet<String>,
    /// Places of frames that are to be removed, by segment.
    places: BTreeMap<i64, Vec<u64>>,
    waiting: usize,
    deleted: Deleted,
}

/// Deletes what a filter fits.
pub(crate) async fn delete(tapes: &Tapes, filter: &Filter, how: How) -> Result<Deleted, Undeleted> {
    let on_hold = tapes.index().held(&filter.fleet).await?.into_iter().collect();
    let (places, deleted) = (BTreeMap::new(), Deleted::default());
    let mut deletion = Deletion { tapes, filter, how, on_hold, places, waiting: 0, deleted };
    let gone = deletion.all().await;
    // Also after a failure: what is gone from the index is to go from objects.
    if how == How::Really {
        tapes.deleted.notify_one();
    }
    gone.map(|()| deletion.deleted)
}

impl Deletion<'_> {
    async fn all(&mut self) -> Result<(), Undeleted> {
        if self.filter.ids.is_empty() {
            let Some((first, last)) = self.tapes.index().extent(self.filter, None).await?.times else { return Ok(()) };
            let floor = self.filter.since.map_or(first, |since| since.max(first));
            let mut top = self.filter.until.unwrap_or(i64::MAX).min(last.saturating_add(1));
            let mut span = SPAN;
            while top > floor {
                let bottom = top.saturating_sub(span).max(floor);
                self.between(&Filter { since: Some(bottom), until: Some(top), ..self.filter.clone() }).await?;
                (top, span) = (bottom, span.saturating_mul(SPAN_GROWS));
            }
            return Ok(());
        }
        self.between(self.filter).await?;
        self.remove().await
    }

    async fn between(&mut self, filter: &Filter) -> Result<(), Undeleted> {
        let mut before: Option<Position> = None;
        loop {
            let page = self.tapes.index().search(filter, What::Frames, before, PAGE).await?;
            before = page.last().map(FoundFrame::position);
            let is_last = page.len() < PAGE as usize;
            for frame in page {
                self.take(frame);
            }
            if self.filter.ids.is_empty() {
                self.remove().await?;
            } else if self.waiting > PLACES_MAX {
                return Err(Undeleted::TooMany);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn take(&mut self, frame: FoundFrame) {
        if self.on_hold.contains(&frame.tape) {
            self.deleted.held.insert(frame.tape);
            return;
        }
        self.waiting += 1;
        if self.how == How::Counted {
            self.deleted.frames += 1;
            self.deleted.bytes = self.deleted.bytes.saturating_add(frame.size);
        } else {
            self.places.entry(frame.segment).or_default().push(frame.seq);
        }
    }

    async fn remove(&mut self) -> Result<(), Undeleted> {
        self.waiting = 0;
        for (segment, places) in std::mem::take(&mut self.places) {
            let removal = Removal { segment, which: Which::Places(places), why: Why::Order };
            let removed = self.tapes.index().remove(&removal, now()).await?;
            self.deleted.frames += removed.frames;
            self.deleted.bytes = self.deleted.bytes.saturating_add(removed.bytes);
            if let Some((fleet, bytes)) = removed.segment {
                self.tapes.ingest.metrics.segment_deleted(&fleet, Why::Order.as_str(), bytes);
            }
        }
        Ok(())
    }
}
