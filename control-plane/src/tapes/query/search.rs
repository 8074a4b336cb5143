//! Frames that a selection fits, the latest first.
//!
//! The index is asked window by window, back in time, each four times as long as the one before: what is frequent is found in the
//! first, what is rare costs a few questions more, and none of them goes through everything that is kept.

use std::sync::Arc;
use std::time::Duration;

use shadowcat_proto::admin::v1::search_tapes_response::Kind;
use shadowcat_proto::admin::v1::{SearchEnd, SearchProgress, SearchTapesResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;

use super::facts::Content;
use super::judge::Verdict;
use super::segments::Segments;
use super::selection::Selected;
use super::{cursor, told};
use crate::store::StoreError;
use crate::tapes::Tapes;
use crate::tapes::index::{Extent, FoundFrame, Position, What};

/// The first window: an hour, in microseconds.
const WINDOW: i64 = 60 * 60 * 1_000_000;

/// How much longer each window is.
const WINDOW_GROWS: i64 = 4;

/// Segments, and messages that are kept apart, that one search opens: a few seconds of a disk, half a minute of an object store.
const OPENED_MAX: u64 = 256;

/// How long one search goes on.
const SEARCHED_FOR: Duration = Duration::from_secs(10);

/// Frames that are judged between two questions to the index.
const PAGE: u32 = 256;

/// Segments that are opened between two words about progress.
const TOLD_EVERY: u64 = 8;

/// Where what was found goes.
pub(crate) type Found = mpsc::Sender<Result<SearchTapesResponse, Status>>;

/// A search under way.
struct Search<'a> {
    selected: &'a Selected,
    segments: Segments<'a>,
    found: &'a Found,
    /// How many are still wanted.
    wanted: u32,
    looked_at: u64,
    unjudged: u64,
    extent: Extent,
    until: Instant,
}

/// Why a search ends.
enum Stopped {
    /// Everything was looked at, or nobody waits for it any more.
    Over,
    /// As many were found as were wanted, or it has cost enough: it can go on before this.
    At(Position),
    Failed(StoreError),
}

/// Searches, and tells everything through `found`.
pub(crate) async fn search(
    tapes: Arc<Tapes>,
    selected: Selected,
    (what, limit): (What, u32),
    before: Option<Position>,
    found: Found,
) {
    let extent = match tapes.index().extent(&selected.filter, before).await {
        Ok(extent) => extent,
        Err(error) => return tell(&found, Err(Status::unavailable(error.to_string()))).await,
    };
    let mut search = Search {
        selected: &selected,
        segments: Segments::new(&tapes),
        found: &found,
        wanted: limit,
        looked_at: 0,
        unjudged: 0,
        extent,
        until: Instant::now() + SEARCHED_FOR,
    };
    let stopped = tokio::select! {
        stopped = search.windows(&tapes, what, before) => stopped,
        () = found.closed() => return,
    };
    let end = match stopped {
        Stopped::Failed(error) => Err(Status::unavailable(error.to_string())),
        Stopped::Over => Ok(search.end(None)),
        Stopped::At(position) => Ok(search.end(Some(position))),
    };
    tell(&found, end.map(Kind::End)).await;
}

async fn tell(found: &Found, kind: Result<Kind, Status>) {
    // Whoever asked may be gone.
    let _ = found.send(kind.map(|kind| SearchTapesResponse { kind: Some(kind) })).await;
}

impl Search<'_> {
    /// Back in time, window by window.
    async fn windows(&mut self, tapes: &Tapes, what: What, mut before: Option<Position>) -> Stopped {
        let Some((first, last)) = self.extent.times else { return Stopped::Over };
        let asked = &self.selected.filter;
        let floor = asked.since.map_or(first, |since| since.max(first));
        let mut top = asked.until.unwrap_or(i64::MAX).min(last.saturating_add(1));
        top = before.map_or(top, |before| top.min(before.at.saturating_add(1)));
        let mut window = WINDOW;
        while top > floor {
            let bottom = top.saturating_sub(window).max(floor);
            let mut filter = asked.clone();
            (filter.since, filter.until) = (Some(bottom), Some(top));
            loop {
                let wanted = if self.selected.judge.is_idle() { self.wanted.min(PAGE) } else { PAGE };
                let page = match tapes.index().search(&filter, what, before, wanted).await {
                    Ok(page) => page,
                    Err(error) => return Stopped::Failed(error),
                };
                for frame in &page {
                    match self.frame(frame).await {
                        Ok(()) => before = Some(frame.position()),
                        Err(stopped) => return stopped,
                    }
                }
                if page.len() < wanted as usize {
                    break;
                }
            }
            (top, window) = (bottom, window.saturating_mul(WINDOW_GROWS));
            if top > floor && Instant::now() > self.until {
                // Everything at this time is looked at still, and what is before it.
                return Stopped::At(Position { at: top, source: i64::MIN, seq: 0 });
            }
        }
        Stopped::Over
    }

    /// Judges a frame, and tells it if it is meant.
    async fn frame(&mut self, frame: &FoundFrame) -> Result<(), Stopped> {
        let position = frame.position();
        let judge = &self.selected.judge;
        let opens = judge.needs_content() && !self.segments.holds(frame.segment);
        if (judge.needs_content() && self.segments.cost() >= OPENED_MAX) || Instant::now() > self.until {
            // This one is still to be looked at.
            return Err(Stopped::At(Position { seq: position.seq.saturating_add(1), ..position }));
        }
        let verdict = if judge.needs_content() { self.judge(frame).await } else { judge.judge(frame, None) };
        self.looked_at += 1;
        if opens && self.segments.opened.is_multiple_of(TOLD_EVERY) {
            tell(self.found, Ok(Kind::Progress(self.progress()))).await;
        }
        match verdict {
            Verdict::Not => return Ok(()),
            Verdict::Unjudged => {
                self.unjudged += 1;
                return Ok(());
            }
            Verdict::Meant => tell(self.found, Ok(Kind::Found(told(frame)))).await,
        }
        self.wanted -= 1;
        if self.wanted == 0 { Err(Stopped::At(position)) } else { Ok(()) }
    }

    async fn judge(&mut self, frame: &FoundFrame) -> Verdict {
        let Ok(opened) = self.segments.open(frame.segment).await else { return Verdict::Unjudged };
        let Some(record) = opened.record(frame.seq) else { return Verdict::Unjudged };
        let (judge, fleet) = (&self.selected.judge, &self.selected.filter.fleet);
        let Ok(apart) = self.segments.apart(fleet, &record).await else { return Verdict::Unjudged };
        let request = match record.re.filter(|_| judge.needs_request()) {
            Some(asked) => match self.segments.asked(fleet, frame, asked).await {
                Ok(request) => Some(request),
                Err(_) => return Verdict::Unjudged,
            },
            None => None,
        };
        judge.judge(frame, Some(&Content::new(&record, apart.as_deref(), request.as_deref())))
    }

    fn progress(&self) -> SearchProgress {
        let opened = self.segments.opened;
        SearchProgress {
            frames: self.looked_at,
            segments: opened,
            segments_left: self.extent.segments.saturating_sub(opened),
        }
    }

    fn end(&self, next: Option<Position>) -> SearchEnd {
        let next_text = next.map(cursor).unwrap_or_default();
        let remark = match next {
            Some(at) if self.wanted > 0 => self.remark(at, &next_text),
            _ => String::new(),
        };
        SearchEnd { next: next_text, remark, progress: Some(self.progress()), unjudged: self.unjudged }
    }

    /// How far a search came that ended before everything was looked at.
    fn remark(&self, at: Position, next: &str) -> String {
        let (first, last) = self.extent.times.unwrap_or((at.at, at.at));
        format!(
            "looked at {} of {}: narrow it with --since, --tool or --session, or go on with --cursor {next}",
            span(last.saturating_sub(at.at)),
            span(last.saturating_sub(first)),
        )
    }
}

/// A span of time for a person, from microseconds.
fn span(micros: i64) -> String {
    let minutes = micros / 60_000_000;
    match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 60 / 24),
    }
}
