//! A sealed segment as rows of the index.
//!
//! Invariants:
//! - Damage is no reason to refuse: what can be read becomes rows, and what cannot is a gap with its reason.
//! - What a node sends is kept within bounds: texts are cut and have no control characters, numbers are clamped, and gaps beyond a
//!   number become one.
//!
//! Not here: I/O. The caller has the bytes, and knows that their digest is the one that was offered.

mod gaps;
mod rows;
#[cfg(test)]
mod tests;

use shadowcat_tape::record::{Kind, Record};
use shadowcat_tape::segment::{Found, Scan, UnsealError, unseal};

use self::gaps::Gaps;
use self::rows::Rows;
pub(crate) use self::rows::{SESSION_CHARS, session, trace};
use super::blobs::segment_key;
use super::index::SegmentRows;

/// Microseconds that a node's clock may be ahead: a record of a later time would be kept for ever, and hold up what is forgotten by size.
const AHEAD: i64 = 3_600 * 1_000_000;

/// A segment's plain bytes: a node seals at 1 MiB, a tape at 8 MiB.
pub(crate) const PLAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Nanoseconds in a microsecond.
const NANOS: u64 = 1_000;

/// Whose segment it is, and what the offer says of it.
#[derive(Debug, Clone)]
pub(crate) struct Shipped {
    pub(crate) fleet: String,
    pub(crate) node: String,
    pub(crate) instance: String,
    pub(crate) sequence: u64,
    pub(crate) first_record: u64,
    pub(crate) last_record: u64,
    /// Messages that are kept apart: hash and stored bytes.
    pub(crate) messages: Vec<([u8; 32], u64)>,
    /// When it came, for a segment that does not tell its own time: microseconds since 1970.
    pub(crate) at: i64,
}

/// Why a segment is not stored, now or later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unstorable {
    /// It would take too much memory.
    #[error("it unpacks to more than {PLAIN_BYTES_MAX} bytes")]
    TooLarge,
    /// It is another segment.
    #[error("its head says that it is segment {0} of {1}")]
    Another(u64, String),
}

/// The rows of a segment.
pub(crate) fn decode(sealed: &[u8], shipped: &Shipped) -> Result<SegmentRows, Unstorable> {
    let unsealed = unseal(sealed, PLAIN_BYTES_MAX).map_err(|error| match error {
        // The others are about one place, which was not asked for.
        UnsealError::TooLarge { .. } | UnsealError::NoTable | UnsealError::PastEnd { .. } | UnsealError::Damaged(_) => {
            Unstorable::TooLarge
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
    Ok(segment.finish(sealed.len(), unsealed.plain.len(), shipped))
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
    fn record(&mut self, record: &Record<'_>, place: u64, shipped: &Shipped) -> Result<(), Unstorable> {
        if let Some(head) = &record.head {
            if (head.instance.as_ref(), head.segment) != (&*shipped.instance, shipped.sequence) {
                return Err(Unstorable::Another(head.segment, head.instance.chars().take(64).collect()));
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
        Ok(())
    }

    fn at(&self, t: u64, shipped: &Shipped) -> i64 {
        match self.clock {
            Some(clock) => {
                i64::try_from(clock.saturating_add(t)).unwrap_or(i64::MAX).min(shipped.at.saturating_add(AHEAD))
            }
            None => shipped.at,
        }
    }

    fn finish(self, stored_bytes: usize, plain_bytes: usize, shipped: &Shipped) -> SegmentRows {
        let (gaps, lost_bytes) = self.gaps.finish(shipped.last_record);
        let mut rows = SegmentRows {
            fleet: shipped.fleet.clone(),
            node: shipped.node.clone(),
            instance: shipped.instance.clone(),
            sequence: shipped.sequence,
            first_record: shipped.first_record,
            last_record: shipped.last_record,
            stored_bytes: stored_bytes as u64,
            plain_bytes: plain_bytes as u64,
            lost_bytes,
            ended: self.ended,
            gaps,
            messages: shipped.messages.clone(),
            ..SegmentRows::default()
        };
        let at = self.clock.map_or(shipped.at, |clock| i64::try_from(clock).unwrap_or(i64::MAX));
        (rows.first_at, rows.last_at) = self.rows.extent().unwrap_or((at, at));
        rows.object = segment_key(&rows.fleet, rows.first_at, &rows.instance, rows.sequence).to_string();
        self.rows.into_rows(&mut rows);
        rows
    }
}
