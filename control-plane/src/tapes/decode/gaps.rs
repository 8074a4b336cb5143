//! What a segment is missing, as far as the segment itself tells.

use shadowcat_tape::record::Record;

use super::super::index::{GapRow, SegmentRows};
use super::rows::cut;

/// Gaps of one segment. What is beyond them is one more, so that nothing is lost silently and nobody fills the index with holes.
const GAPS_MAX: usize = 256;

/// Gaps of one segment while it is read.
pub(super) struct Gaps {
    rows: Vec<GapRow>,
    /// The first record that was read; 0 before.
    first: u64,
    /// The last record that was read, or the one before the first; absent while nobody knows where the segment begins.
    last: Option<u64>,
    /// Why the next hole is there, if something could not be read before it.
    reason: Option<String>,
    lost_bytes: u64,
    /// Records that stood in no order.
    disordered: u64,
}

impl Gaps {
    /// Of a segment whose first record has this place; 0 if nobody knows.
    pub(super) fn new(first_record: u64) -> Self {
        let last = first_record.checked_sub(1);
        Self { rows: Vec::new(), first: 0, last, reason: None, lost_bytes: 0, disordered: 0 }
    }

    /// The places of the first and the last record that were read; 0 and 0 without one.
    pub(super) fn extent(&self) -> (u64, u64) {
        (self.first, if self.first > 0 { self.last.unwrap_or(0) } else { 0 })
    }

    /// Some bytes could not be read.
    pub(super) fn unreadable(&mut self, bytes: u64, why: &str) {
        self.lost_bytes = self.lost_bytes.saturating_add(bytes);
        self.reason.get_or_insert_with(|| cut(why).into_owned());
    }

    /// A record of this place comes. False if it is not behind the one before.
    pub(super) fn passes(&mut self, seq: u64) -> bool {
        if seq <= self.last.unwrap_or(0) {
            self.disordered += 1;
            return false;
        }
        match self.last {
            Some(_) => self.hole(seq),
            None => self.unknown(seq - 1, seq),
        }
        self.first = if self.first > 0 { self.first } else { seq };
        self.last = Some(seq);
        true
    }

    /// A record says what is missing.
    pub(super) fn told(&mut self, record: &Record<'_>) {
        let Some(gap) = &record.gap else { return };
        let bytes = gap.bytes.map(|bytes| format!("{bytes} bytes could not be read")).unwrap_or_default();
        self.push(GapRow {
            after: record.seq.saturating_sub(1),
            before: record.seq.saturating_add(1),
            frames: gap.frames,
            why: cut(&gap.why).into_owned(),
            detail: match gap.segments {
                Some((from, to)) => format!("the node dropped segments {from} to {to}"),
                None => bytes,
            },
            instance: gap.instance.as_deref().map(|instance| cut(instance).into_owned()),
            segments: gap.segments,
        });
    }

    /// The gaps, and how many bytes could not be read, once everything was.
    pub(super) fn finish(mut self, last_record: u64) -> (Vec<GapRow>, u64) {
        if last_record > 0 {
            self.hole(last_record.saturating_add(1));
        } else {
            let behind = self.last.map_or(0, |last| last.saturating_add(1));
            self.unknown(self.last.unwrap_or(0), behind);
        }
        if self.disordered > 0 {
            let detail = format!("{} records stood behind later ones, or twice", self.disordered);
            let (last, why) = (self.last.unwrap_or(0), "disordered".to_owned());
            self.rows.push(GapRow {
                after: last,
                before: last,
                frames: Some(self.disordered),
                why,
                detail,
                ..GapRow::default()
            });
        }
        (self.rows, self.lost_bytes)
    }

    /// What is between the last record and this one.
    fn hole(&mut self, seq: u64) {
        let last = self.last.unwrap_or(0);
        let missing = seq.saturating_sub(last).saturating_sub(1);
        let reason = self.reason.take();
        if missing > 0 {
            let why = if reason.is_some() { "corrupt" } else { "lost" };
            let (after, frames) = (last, Some(missing));
            let detail = reason.unwrap_or_else(|| "no such records are in the segment".to_owned());
            self.push(GapRow { after, before: seq, frames, why: why.to_owned(), detail, ..GapRow::default() });
        }
    }

    /// What could not be read between these, of which nobody knows how many records it was.
    fn unknown(&mut self, after: u64, before: u64) {
        if let Some(detail) = self.reason.take() {
            self.push(GapRow { after, before, why: "corrupt".to_owned(), detail, ..GapRow::default() });
        }
    }

    fn push(&mut self, gap: GapRow) {
        if self.rows.len() < GAPS_MAX {
            self.rows.push(gap);
        } else if let Some(last) = self.rows.last_mut() {
            last.before = last.before.max(gap.before);
            last.frames = last.frames.zip(gap.frames).map(|(one, other)| one.saturating_add(other));
            "and more after it".clone_into(&mut last.detail);
        }
    }
}

/// Tells of messages that are not kept: no frame is missing, and nobody says which ones referred to them.
pub(super) fn of_messages(spoiled: &[(&'static str, String)], rows: &mut SegmentRows) {
    let after = rows.first_record.saturating_sub(1);
    let before = if rows.last_record > 0 { rows.last_record.saturating_add(1) } else { 0 };
    for (index, (why, detail)) in spoiled.iter().take(GAPS_MAX).enumerate() {
        let more = spoiled.len() - GAPS_MAX.min(spoiled.len());
        let detail =
            if index + 1 == GAPS_MAX && more > 0 { format!("{detail}; and {more} more") } else { detail.clone() };
        rows.gaps.push(GapRow {
            after,
            before,
            frames: Some(0),
            why: (*why).to_owned(),
            detail: cut(&detail).into_owned(),
            ..GapRow::default()
        });
    }
}
