//! Making room: the oldest segment goes when there are too many bytes, when it is too old, and when the disk is full.

use std::io;

use tracing::warn;

use super::Writer;
use super::shelf::Entry;
use crate::directory::Directory;
use crate::record::Gap;

/// Segments that are dropped for one write on a full disk at most. A write is 256 KiB or a sealed segment, and a
/// dropped segment gives about as much; a disk that others fill as fast is not fought over while traffic waits.
const DROPS_PER_WRITE_MAX: usize = 4;

impl Writer {
    /// Does something that takes room on the disk. When there is none, drops the oldest segment and tries again.
    pub(super) fn with_room<T>(&mut self, mut attempt: impl FnMut(&Directory) -> io::Result<T>) -> io::Result<T> {
        for _ in 0..DROPS_PER_WRITE_MAX {
            match attempt(&self.directory) {
                Err(error) if is_full(&error) && self.drop_oldest("spool_full") => {}
                done => return done,
            }
        }
        attempt(&self.directory)
    }

    /// Drops segments until the rest is within the bounds.
    pub(super) fn keep_within_bounds(&mut self) {
        while self.bytes() > self.settings.max_bytes && self.drop_oldest("spool_full") {}
        while self.shelf.oldest_age(self.now.at).is_some_and(|age| age > self.settings.max_age) {
            if !self.drop_oldest("spool_old") {
                return;
            }
        }
    }

    /// Bytes on the disk: what is sealed, and what will be.
    fn bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.plain_bytes() as u64 + open.blob_bytes());
        self.shelf.bytes() + open
    }

    /// Drops the oldest segment and notes what is missing by it; false if there is none, or it cannot be removed.
    fn drop_oldest(&mut self, why: &'static str) -> bool {
        let dropped = match self.shelf.drop_oldest() {
            Ok(Some(dropped)) => dropped,
            Ok(None) => return false,
            Err(error) => {
                warn!(%error, "the oldest segment of the spool cannot be removed");
                return false;
            }
        };
        self.note_dropped(dropped, why);
        true
    }

    /// Notes what is missing by segments that were given up.
    pub(super) fn note_given_up(&mut self) {
        for entry in self.shelf.take_given_up() {
            self.note_dropped(entry, "refused");
        }
    }

    fn note_dropped(&mut self, dropped: Entry, why: &'static str) {
        let id = dropped.place.id;
        warn!(segment = %id, why, frames = dropped.frames, "a recorded segment was dropped");
        self.counts.segments_dropped += 1;
        self.counts.frames_dropped += dropped.frames.unwrap_or(0);
        let segments = Some((id.sequence, id.sequence));
        let instance = (id.instance != self.settings.instance).then_some(id.instance.into());
        self.gaps.add(Gap { why: why.into(), frames: dropped.frames, bytes: None, instance, segments });
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
