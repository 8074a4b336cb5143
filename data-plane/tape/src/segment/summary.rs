//! What reading some lines came to.

use std::fmt;

use super::contents::is_frame;
use crate::record::{Head, Kind, Record};

/// What was read, what was lost, and how that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records that were read.
    pub records: u64,
    /// Those that tell of traffic: all but `head`, `clock`, `gap` and `end`.
    pub frames: u64,
    /// `seq` of the first record that was read.
    pub first_seq: Option<u64>,
    /// `seq` of the last one.
    pub last_seq: Option<u64>,
    /// Records that are missing, known by the holes between the `seq` of those that were read.
    pub missing: u64,
    /// Records whose `seq` is not above the one before.
    pub disordered: u64,
    /// Ranges that are no records, between records.
    pub corrupt_ranges: u64,
    /// Bytes of these ranges.
    pub corrupt_bytes: u64,
    /// Bytes at the end that are no record.
    pub torn_bytes: u64,
    /// `gap` records: what the recording itself says is missing.
    pub gaps: u64,
    /// Frames that they say are missing. Those that had a `seq` already are in `missing` too.
    pub gap_frames: u64,
    /// Heads. Without one nobody knows whose records these are.
    pub heads: u64,
    /// Whether the instance says that it stopped in order.
    pub has_ended: bool,
    /// Whose records these are, by the last head: the instance, and its node.
    source: Option<(String, String)>,
}

impl Summary {
    /// Whether every byte was read and every record is there. Gaps that the recording tells do not count: nothing was
    /// lost since.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing + self.disordered + self.corrupt_ranges + self.torn_bytes == 0
    }

    /// Counts a record.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        self.records += 1;
        self.frames += u64::from(is_frame(record.k));
        self.has_ended |= record.k == Kind::End;
        if let Some(head) = &record.head {
            self.heads += 1;
            if self.source.as_ref().is_some_and(|source| is_another(source, head)) {
                // Another instance counts for itself.
                self.last_seq = None;
            }
            self.source = Some((head.instance.to_string(), head.node.to_string()));
        }
        if let Some(gap) = &record.gap {
            self.gaps += 1;
            self.gap_frames = self.gap_frames.saturating_add(gap.frames.unwrap_or(0));
        }
        match self.last_seq {
            Some(last) if record.seq <= last => self.disordered += 1,
            Some(last) => self.missing = self.missing.saturating_add(record.seq - last - 1),
            None => {}
        }
        self.first_seq = self.first_seq.or(Some(record.seq));
        self.last_seq = self.last_seq.max(Some(record.seq));
    }
}

/// Whether a head is of another instance, or of another node that claims the same one. A head that was lost and written anew names no node.
fn is_another((instance, node): &(String, String), head: &Head<'_>) -> bool {
    *instance != head.instance || !node.is_empty() && !head.node.is_empty() && *node != head.node
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records read, {} of them frames", self.records, self.frames)?;
        if self.missing > 0 {
            write!(f, "; {} records missing, by holes in seq", self.missing)?;
        }
        if self.disordered > 0 {
            write!(f, "; {} records out of order", self.disordered)?;
        }
        if self.corrupt_ranges > 0 {
            write!(f, "; {} bytes in {} ranges fail their checksums", self.corrupt_bytes, self.corrupt_ranges)?;
        }
        if self.torn_bytes > 0 {
            write!(f, "; {} bytes torn off at the end", self.torn_bytes)?;
        }
        if self.gaps > 0 {
            write!(f, "; {} gaps told by the recording, of {} frames", self.gaps, self.gap_frames)?;
        }
        Ok(())
    }
}
