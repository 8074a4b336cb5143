//! A sealed segment as rows of the index.
//!
//! Invariants:
//! - Nothing is a reason to refuse: what can be read becomes rows, and what cannot is a gap with its reason. What cannot be read at all,
//!   or is too much for an index that others wait for, is kept as bytes alone.
//! - What a node sends is kept within bounds: texts are cut and have no control characters, numbers are clamped, and gaps beyond a
//!   number become one.
//!
//! Not here: I/O. The caller has the bytes, and knows that their digest is the one that was offered.

mod gaps;
mod rows;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use shadowcat_tape::record::{Kind, Record};
use shadowcat_tape::segment::{Contents, Found, Scan, UnsealError, unseal};

use self::gaps::Gaps;
use self::rows::Rows;
pub(crate) use self::rows::{SESSION_CHARS, cut, session, trace};
use super::blobs::{SegmentName, segment_key};
use super::index::{SegmentRows, Unread};

/// Microseconds that a node's clock may be ahead: a record of a later time would be kept for ever, and hold up what is forgotten by size.
const AHEAD: i64 = 3_600 * 1_000_000;

/// A segment's plain bytes. A node seals at 1 MiB, and the line behind that has 1 MiB at most: no node of ours comes near.
pub(crate) const PLAIN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Frames of a segment: 1 MiB of the shortest that a node writes has a little more than half as many. They are a second's work of either
/// database, for which everybody else waits.
const FRAMES_MAX: usize = 20_000;

/// Rows of a segment that are looked up or written by themselves, as words, tapes and open calls are: a few for each of the shortest
/// calls that fill 1 MiB.
const SINGLE_ROWS_MAX: usize = 10_000;

/// Nanoseconds in a microsecond.
const NANOS: u64 = 1_000;

/// Whose segment it is, and what the offer says of it.
#[derive(Debug, Clone)]
pub(crate) struct Shipped {
    pub(crate) fleet: String,
    pub(crate) node: String,
    pub(crate) instance: String,
    pub(crate) sequence: u64,
    pub(crate) digest: [u8; 32],
    /// 0, as the last one is, if its node does not know.
    pub(crate) first_record: u64,
    pub(crate) last_record: u64,
    /// Messages that are kept apart: hash and stored bytes.
    pub(crate) messages: Vec<([u8; 32], u64)>,
    /// Messages that are not kept: why, as gaps have it, and the same for a person.
    pub(crate) spoiled: Vec<(&'static str, String)>,
    /// When it came, for a segment that does not tell its own time: microseconds since 1970.
    pub(crate) at: i64,
}

/// Why a segment is kept as bytes alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unreadable {
    /// It would take too much memory.
    #[error("it unpacks to more than {PLAIN_BYTES_MAX} bytes")]
    TooLarge,
    /// It would hold up everybody else.
    #[error("it has more than {FRAMES_MAX} frames, or more than {SINGLE_ROWS_MAX} words, tapes and calls")]
    TooMuch,
    /// It is another segment.
    #[error("its head says that it is segment {0} of {1}")]
    Another(u64, String),
    /// A bug.
    #[error("the control plane failed at it, which is a bug: its log says more")]
    Failed,
}

/// The rows of a segment.
pub(crate) fn decode(sealed: &[u8], shipped: &Shipped) -> SegmentRows {
    let mut rows = caught(|| read(sealed, shipped))
        .unwrap_or_else(|why| kept_as_bytes(sealed, shipped, &why, || Contents::of_sealed(sealed)));
    gaps::of_messages(&shipped.spoiled, &mut rows);
    rows
}

/// A segment that cannot be read. Its contents tell when it was recorded, if they can be read: what failed may have been these.
fn kept_as_bytes(
    sealed: &[u8],
    shipped: &Shipped,
    why: &Unreadable,
    contents: impl FnOnce() -> Option<Contents>,
) -> SegmentRows {
    let mut rows = bare(sealed, shipped);
    let contents = caught(|| Ok(contents())).ok().flatten();
    if let Some(contents) = contents.filter(|contents| contents.clock > 0) {
        let clock = contents.clock / NANOS;
        let times =
            (time(clock.saturating_add(contents.t0), shipped), time(clock.saturating_add(contents.t1), shipped));
        (rows.first_at, rows.last_at) = (times.0, times.1.max(times.0));
    }
    rows.object = key(&rows);
    rows.unread(Unread::NotIndexed, &why.to_string())
}

/// What this build panics at it would panic at whenever it is offered again, and all that its node has behind it would wait.
fn caught<T>(read: impl FnOnce() -> Result<T, Unreadable>) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(Unreadable::Failed))
}

/// A segment of which nothing is known but what was offered.
fn bare(sealed: &[u8], shipped: &Shipped) -> SegmentRows {
    SegmentRows {
        fleet: shipped.fleet.clone(),
        node: shipped.node.clone(),
        instance: shipped.instance.clone(),
        sequence: shipped.sequence,
        digest: shipped.digest,
        first_record: shipped.first_record,
        last_record: shipped.last_record,
        stored_bytes: sealed.len() as u64,
        first_at: shipped.at,
        last_at: shipped.at,
        messages: shipped.messages.clone(),
        ..SegmentRows::default()
    }
}

fn key(rows: &SegmentRows) -> String {
    let SegmentRows { fleet, node, instance, sequence, .. } = rows;
    segment_key(SegmentName { fleet, node, instance, sequence: *sequence }, rows.first_at, &rows.digest).to_string()
}

/// A time of a node's clock, in microseconds since 1970.
fn time(at: u64, shipped: &Shipped) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX).min(shipped.at.saturating_add(AHEAD))
}

fn read(sealed: &[u8], shipped: &Shipped) -> Result<SegmentRows, Unreadable> {
    let unsealed = unseal(sealed, PLAIN_BYTES_MAX).map_err(|error| match error {
        // The others are about one place, which was not asked for.
        UnsealError::TooLarge { .. } | UnsealError::NoTable | UnsealError::PastEnd { .. } | UnsealError::Damaged(_) => {
            Unreadable::TooLarge
        }
    })?;
    let clock = unsealed.contents.map(|contents| contents.clock).filter(|clock| *clock > 0);
    let mut segment = Reading {
        clock: clock.map(|clock| clock / NANOS),
        rows: Rows::default(),
        gaps: Gaps::new(shipped.first_record),
        ended: None,
    };
    for damage in &unsealed.damage {
        segment.gaps.unreadable(damage.at.len() as u64, &damage.to_string());
    }
    for found in Scan::new(&unsealed.plain) {
        match found {
            Ok(Found::Record(line)) => segment.record(&line.record, line.at as u64, shipped)?,
            Ok(Found::Corrupt { at, why } | Found::Torn { at, why }) => {
                segment.gaps.unreadable(at.len() as u64, &why.to_string());
            }
            Err(refused) => segment.gaps.unreadable(unsealed.plain.len() as u64, &refused.to_string()),
        }
    }
    let rows =
        segment.finish(SegmentRows { plain_bytes: unsealed.plain.len() as u64, ..bare(sealed, shipped) }, shipped);
    if rows.single_rows() > SINGLE_ROWS_MAX { Err(Unreadable::TooMuch) } else { Ok(rows) }
}

/// A segment while its records are read.
struct Reading {
    /// Microseconds since 1970 at `t` = 0.
    clock: Option<u64>,
    rows: Rows,
    gaps: Gaps,
    ended: Option<u64>,
}

impl Reading {
    fn record(&mut self, record: &Record<'_>, place: u64, shipped: &Shipped) -> Result<(), Unreadable> {
        if let Some(head) = &record.head {
            if (head.instance.as_ref(), head.segment) != (&*shipped.instance, shipped.sequence) {
                return Err(Unreadable::Another(head.segment, cut(&head.instance).chars().take(64).collect()));
            }
            self.clock = Some(head.clock / NANOS);
        }
        // What stands behind a record of a later place, or twice, is in no order that anybody could tell.
        if !self.gaps.passes(record.seq) {
            return Ok(());
        }
        match record.k {
            Kind::Gap => self.gaps.told(record),
            Kind::End => self.ended = Some(record.seq),
            _ => {}
        }
        let at = self.at(record.t, shipped);
        self.rows.add(record, at, place);
        if self.rows.frames() > FRAMES_MAX { Err(Unreadable::TooMuch) } else { Ok(()) }
    }

    fn at(&self, t: u64, shipped: &Shipped) -> i64 {
        self.clock.map_or(shipped.at, |clock| time(clock.saturating_add(t), shipped))
    }

    /// Fills in the rows of a segment of which all was read.
    fn finish(self, mut rows: SegmentRows, shipped: &Shipped) -> SegmentRows {
        let at = self.at(0, shipped);
        (rows.first_at, rows.last_at) = self.rows.extent().unwrap_or((at, at));
        rows.ended = self.ended;
        if rows.last_record == 0 {
            (rows.first_record, rows.last_record) = self.gaps.extent();
        }
        (rows.gaps, rows.lost_bytes) = self.gaps.finish(shipped.last_record);
        rows.object = key(&rows);
        self.rows.into_rows(&mut rows);
        rows
    }
}
