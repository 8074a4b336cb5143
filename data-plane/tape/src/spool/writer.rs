//! The writer: records in, sealed segments out.

mod files;
mod own;

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::gaps::Gaps;
use super::open::{OpenSegment, TooLong};
use super::room::FILE_BYTES;
use super::{Now, Shelf, SpoolSettings};
use crate::directory::Directory;
use crate::line::Message;
use crate::record::{BLOB_BYTES_MIN, Gap, Record};
use crate::segment::SegmentId;

/// Bytes that wait in memory to be written. Beyond it [`Writer::append`] writes them itself; a crash of the process
/// takes at most these.
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// How long after a failure of the disk it is left alone. Frames that come meanwhile are counted and not kept.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long segments that could not be read or removed rest: a disk in trouble is not asked for each of them at every
/// look.
pub(super) const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Segments for which there must be room where a record must not be lost: the one that is written, plain and sealed at
/// once, what waits to be written, and as much again for whoever else fills the disk before somebody looks again.
const SEGMENTS_PROMISED: u64 = 16;

/// The share of the spool that the blobs of one segment fill before it is sealed, so that dropping the oldest segment
/// never drops more.
const BLOBS_SHARE: u64 = 4;

/// What the writer did since it was opened, and what was missing then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Segments that were sealed.
    pub segments_sealed: u64,
    /// Sealed segments that were dropped: there was no room for them, they were too old, or they were given up. One that
    /// was set aside counts once more when it goes.
    pub segments_dropped: u64,
    /// Sealed segments that were set aside, because they could not be read.
    pub segments_set_aside: u64,
    /// Frames that were in segments that were dropped or set aside.
    pub frames_dropped: u64,
    /// Frames that could not be written, or that earlier boots had written and are missing in what they left open.
    pub frames_lost: u64,
}

/// Writes the segments of one instance. One thread owns it; every method may block for a disk operation, and none
/// fails.
#[derive(Debug)]
pub struct Writer {
    pub(super) settings: SpoolSettings,
    pub(super) directory: Directory,
    pub(super) shelf: Arc<Shelf>,
    pub(super) open: Option<OpenSegment>,
    pub(super) gaps: Gaps,
    pub(super) counts: Counts,
    pub(super) now: Now,
    /// When this instance's clock began, as the order of instances on the shelf has it.
    born: u64,
    /// The number of the last segment that has a file.
    sequence: u64,
    /// The `seq` of the last record.
    seq: u64,
    /// The latest `t` of any record.
    last_t: u64,
    /// After a failure: when the disk is tried again.
    retry_at: Option<Duration>,
    /// Something could not be written, and no segment was sealed since.
    pub(super) has_failed: bool,
    /// The disk has room for what may come before somebody looks again.
    has_room: bool,
    /// Until then nothing is dropped on a full disk: others would take the room.
    pub(super) vain_until: Option<Duration>,
    /// How much room there is; a test says it itself.
    pub(super) free_bytes: fn(&Directory) -> std::io::Result<u64>,
    /// When segments that made trouble are tried again.
    try_again_at: Duration,
}

impl Writer {
    pub(super) fn new(settings: SpoolSettings, shelf: Arc<Shelf>, gaps: Gaps, counts: Counts, now: Now) -> Self {
        let clock = now.wall.saturating_sub(now.micros().saturating_mul(1_000));
        // A clock that was set back does not make this instance an earlier one.
        let born = clock.max(shelf.latest_born().saturating_add(1));
        let mut writer = Self {
            settings,
            directory: shelf.directory.clone(),
            shelf,
            open: None,
            gaps,
            counts,
            now,
            born,
            sequence: 0,
            seq: 0,
            last_t: 0,
            retry_at: None,
            has_failed: false,
            has_room: true,
            vain_until: None,
            free_bytes: Directory::free_bytes,
            try_again_at: now.at + TRY_AGAIN_AFTER,
        };
        writer.keep_within_bounds();
        writer.look_for_room();
        writer
    }

    /// Appends a record, and returns the `seq` that it was given. `record.t` must be set; a message takes the place of
    /// its `body`.
    ///
    /// A message above [`BLOB_BYTES_MIN`] is kept apart. A record that cannot be written has its `seq` all the same,
    /// and a `gap` counts it.
    pub fn append(&mut self, mut record: Record<'_>, message: Option<Message<'_>>) -> u64 {
        let is_ready = self.make_ready();
        let message = match message {
            Some(large) if large.as_bytes().len() > BLOB_BYTES_MIN => {
                (record.body, record.b64) = (None, None);
                record.blob = if is_ready { self.keep_apart(large.as_bytes()) } else { None };
                None
            }
            other => other,
        };
        self.last_t = self.last_t.max(record.t);
        self.seq += 1;
        record.seq = self.seq;
        match self.open.as_mut().map(|open| open.push(&record, message)) {
            Some(Ok(())) => {}
            Some(Err(TooLong { bytes })) => self.lose("too_large", 1, Some(bytes as u64)),
            None => self.lose("disk_failed", 1, None),
        }
        self.keep_moving();
        record.seq
    }

    /// Notes frames that were dropped before they came here.
    pub fn lost(&mut self, frames: u64, why: &str) {
        if frames > 0 {
            self.gaps.add(Gap { why: why.to_owned().into(), frames: Some(frames), ..Gap::default() });
            self.make_ready();
            self.keep_moving();
        }
    }

    /// Writes what waits in memory to the open file. It is durable when the segment is sealed.
    pub fn flush(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let written = self.with_room(open.unwritten_bytes() as u64, |_| open.write());
        self.open = Some(open);
        if let Err(error) = written {
            // All of it is in memory, and another file may do.
            warn!(%error, "the open segment cannot be written: it is sealed as it is");
            self.seal();
        }
    }

    /// Tells the time, and does what is due: to be called ten times a second or so, and after a while without records.
    pub fn tick(&mut self, now: Now) {
        self.now = Now { at: now.at.max(self.now.at), wall: now.wall };
        if self.now.at >= self.try_again_at {
            self.try_again_at = self.now.at + TRY_AGAIN_AFTER;
            self.shelf.try_again();
        }
        self.tell_of_lost();
        self.keep_within_bounds();
        if !self.gaps.is_empty() {
            self.make_ready();
        }
        self.tell_clock_if_due();
        // Only a segment that was sealed shows that the disk keeps what it takes.
        let seal_after = if self.has_failed { Duration::ZERO } else { self.settings.seal_after };
        if self.open.as_ref().is_some_and(|open| self.now.at.saturating_sub(open.opened_at) >= seal_after) {
            self.seal();
            self.keep_within_bounds();
        }
        self.look_for_room();
    }

    /// Ends the instance in order: nothing follows. The last segment may be one too many for the bounds: there is
    /// nobody left to tell what would be dropped for it.
    pub fn end(mut self) -> Counts {
        self.tell_of_lost();
        self.keep_within_bounds();
        if (self.seq > 0 || !self.gaps.is_empty()) && self.make_ready() {
            self.tell_end();
            self.seal();
        }
        self.counts
    }

    /// Tags are made with another key from now on: a segment tells one key, so the open one is sealed.
    pub fn rekey(&mut self, redaction_key: String) {
        if self.settings.redaction_key != redaction_key {
            if self.open.is_some() {
                self.seal();
            }
            self.settings.redaction_key = redaction_key;
        }
    }

    /// False while the disk takes nothing, and until a segment was sealed after that: what is appended now may be lost.
    #[must_use]
    pub const fn is_keeping(&self) -> bool {
        !self.has_failed
    }

    /// Whether what is appended until the next [`tick`](Self::tick) will be kept, as far as anybody can know: the disk takes
    /// what is written, and has room for more.
    #[must_use]
    pub const fn can_promise(&self) -> bool {
        self.is_keeping() && self.has_room
    }

    /// Whether there is an open segment, which [`tick`](Self::tick) is to seal.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// What was done so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Sees to it that there is an open segment in which everything before is told; false while the disk does not let
    /// that happen.
    fn make_ready(&mut self) -> bool {
        if self.open.is_none() && !self.open_next() {
            return false;
        }
        self.tell_gaps();
        true
    }

    fn open_next(&mut self) -> bool {
        if self.retry_at.is_some_and(|at| self.now.at < at) {
            return false;
        }
        let id = SegmentId { instance: self.settings.instance.clone(), sequence: self.sequence + 1 };
        match self.with_room(FILE_BYTES, |directory| directory.create_file(&id.open_name())) {
            Ok(file) => {
                self.sequence = id.sequence;
                self.retry_at = None;
                self.open = Some(OpenSegment::new(id, file, self.now.at, self.settings.seal_bytes));
                self.tell_head();
                true
            }
            Err(error) => {
                warn!(segment = %id, %error, "no segment can be opened: frames are counted and not kept");
                // A file of that name is one that could not be removed.
                self.sequence += u64::from(error.kind() == std::io::ErrorKind::AlreadyExists);
                self.rest();
                false
            }
        }
    }

    /// The disk has failed: it is left alone for a while.
    pub(super) fn rest(&mut self) {
        self.retry_at = Some(self.now.at + RETRY_AFTER);
        self.has_failed = true;
    }

    /// A segment was sealed: the disk is as good as before.
    pub(super) fn recover(&mut self) {
        self.has_failed = false;
        self.vain_until = None;
    }

    fn look_for_room(&mut self) {
        let wanted = (self.settings.seal_bytes as u64).saturating_mul(SEGMENTS_PROMISED);
        // A file system that does not tell is trusted, until it fails.
        self.has_room = (self.free_bytes)(&self.directory).map_or(true, |free| free >= wanted);
    }

    /// Seals a segment that is full, and writes what fills the buffer.
    fn keep_moving(&mut self) {
        let Some(open) = &self.open else { return };
        let blobs_max = self.settings.max_bytes / BLOBS_SHARE;
        if open.plain_bytes() >= self.settings.seal_bytes || open.blob_bytes() >= blobs_max {
            self.seal();
            self.keep_within_bounds();
        } else if open.unwritten_bytes() >= BUFFER_BYTES_MAX {
            self.flush();
        }
    }

    fn lose(&mut self, why: &'static str, frames: u64, bytes: Option<u64>) {
        self.counts.frames_lost += frames;
        self.gaps.add(Gap { why: why.into(), frames: Some(frames), bytes, ..Gap::default() });
    }
}
