//! What a sealed segment holds, told in its first bytes, so that nobody unpacks it to list it.

use serde::{Deserialize, Serialize};

use super::seek::{SKIPPABLE_HEAD_BYTES, skippable, write_skippable};
use crate::line;
use crate::record::{Kind, Record};

/// The magic number of the skippable frame that holds it, one of the sixteen that RFC 8878 leaves to users.
const MAGIC: u32 = 0x184D_2A5C;

/// Bytes of a sealed segment within which its contents are told. They take about 200.
pub const CONTENTS_BYTES_MAX: usize = 1024;

/// What a segment holds. All of it is known to who writes one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// `seq` of its first record; 0 if it has none.
    pub first_seq: u64,
    /// `seq` of its last record.
    pub last_seq: u64,
    /// Records of all kinds.
    pub records: u64,
    /// Records of traffic: all but `head`, `clock`, `gap` and `end`.
    pub frames: u64,
    /// `t` of its first record: microseconds since the instance's clock began.
    pub t0: u64,
    /// The latest `t` in it.
    pub t1: u64,
    /// Nanoseconds since 1970 (UTC) at `t` = 0, as its head says; 0 if it has none.
    pub clock: u64,
    /// Bytes of its plain text.
    pub plain: u64,
}

impl Contents {
    /// Counts one more record, whose line has so many bytes.
    pub fn add(&mut self, record: &Record<'_>, line_bytes: usize) {
        if self.records == 0 {
            (self.first_seq, self.t0) = (record.seq, record.t);
        }
        self.last_seq = record.seq;
        self.t1 = self.t1.max(record.t);
        self.records += 1;
        self.frames += u64::from(is_frame(record.k));
        self.plain += line_bytes as u64;
        if let (0, Some(head)) = (self.clock, &record.head) {
            self.clock = head.clock;
        }
    }

    /// What the first bytes of a sealed segment tell; `None` if they are damaged, or of another program.
    #[must_use]
    pub fn of_sealed(first_bytes: &[u8]) -> Option<Self> {
        let (MAGIC, frame) = skippable(first_bytes)? else { return None };
        line::read(&first_bytes[SKIPPABLE_HEAD_BYTES..frame]).ok()
    }

    /// Appends itself as a skippable frame.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut told = Vec::new();
        line::write_members(self, &mut told);
        line::seal(0, &mut told);
        write_skippable(MAGIC, &told, out);
    }
}

/// Whether records of this kind tell of traffic, and not of the recording.
pub(crate) const fn is_frame(kind: Kind) -> bool {
    !matches!(kind, Kind::Head | Kind::Clock | Kind::Gap | Kind::End)
}
