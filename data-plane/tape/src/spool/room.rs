//! Making room: the oldest segment goes when there are too many bytes, when it is too old, and when the disk is full.

use std::io;
use std::time::Duration;

use tracing::warn;

use super::Writer;
use super::books::{Entry, Loss};
use crate::directory::Directory;
use crate::record::Gap;

/// Segments that are dropped for one write on a full disk at most. A write is 256 KiB or a sealed segment, and a
/// dropped segment gives about as much; a disk that others fill as fast is not fought over while traffic waits.
const DROPS_PER_WRITE_MAX: usize = 4;

/// How long nothing is dropped on a full disk once others have taken the room that a dropped segment left. If nothing can
/// be written before, one segment a minute is the price of learning that they have stopped.
const VAIN_FOR: Duration = Duration::from_secs(60);

/// Room for the names and the structure of a file, where nobody knows better.
pub(super) const FILE_BYTES: u64 = 4096;

impl Writer {
    /// Does something that takes so many bytes on the disk. When there is no room, drops the oldest segment and tries
    /// again, as long as that helps.
    pub(super) fn with_room<T>(
        &mut self,
        bytes: u64,
        mut attempt: impl FnMut(&Directory) -> io::Result<T>,
    ) -> io::Result<T> {
        for drops_left in (1..=DROPS_PER_WRITE_MAX).rev() {
            match attempt(&self.directory) {
                Err(error) if is_full(&error) && self.make_room(bytes, drops_left) => {}
                done => return done,
            }
        }
        attempt(&self.directory)
    }

    /// Drops the oldest segment, unless what may be dropped would not do, or others take what is dropped. True if it is
    /// worth another try.
    fn make_room(&mut self, bytes: u64, drops: usize) -> bool {
        if self.vain_until.is_some_and(|until| self.now.at < until) {
            return false;
        }
        // A file system that does not tell is trusted.
        let before = (self.free_bytes)(&self.directory).ok();
        if before.is_some_and(|free| free.saturating_add(self.shelf.bytes_of_oldest(drops)) < bytes) {
            return false;
        }
        let Some(dropped) = self.drop_oldest("spool_full", |_| true) else { return false };
        let after = (self.free_bytes)(&self.directory).ok();
        let is_vain = before.zip(after).is_some_and(|(before, after)| after < before.saturating_add(dropped / 2));
        self.vain_until = is_vain.then(|| self.now.at + VAIN_FOR);
        true
    }

    /// Drops segments until the rest is within the bounds.
    pub(super) fn keep_within_bounds(&mut self) {
        while self.bytes() > self.settings.max_bytes && self.drop_oldest("spool_full", |_| true).is_some() {}
        let (now, max_age) = (self.now.at, self.settings.max_age);
        while self.drop_oldest("spool_old", |oldest| oldest.age(now) > max_age).is_some() {}
    }

    /// Bytes on the disk: what is sealed, and what will be.
    fn bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.plain_bytes() as u64 + open.blob_bytes());
        self.shelf.bytes() + open
    }

    /// Drops the oldest segment, if it may go and can be removed, and notes what is missing by it; its bytes.
    fn drop_oldest(&mut self, why: &'static str, may_go: impl Fn(&Entry) -> bool) -> Option<u64> {
        let dropped = self.shelf.drop_oldest(may_go)?;
        warn!(segment = %dropped.place.id, why, frames = dropped.frames, "a recorded segment was dropped");
        self.counts.segments_dropped += 1;
        self.miss(why, &dropped);
        Some(dropped.bytes())
    }

    /// Notes what is missing by the segments that were set aside or given up meanwhile.
    pub(super) fn tell_of_lost(&mut self) {
        for (entry, loss) in self.shelf.take_lost() {
            match loss {
                Loss::Unreadable => self.counts.segments_set_aside += 1,
                Loss::Refused => self.counts.segments_dropped += 1,
            }
            self.miss(loss.why(), &entry);
        }
    }

    fn miss(&mut self, why: &'static str, segment: &Entry) {
        let id = &segment.place.id;
        self.counts.frames_dropped += segment.frames.unwrap_or(0);
        let segments = Some((id.sequence, id.sequence));
        let instance = (id.instance != self.settings.instance).then(|| id.instance.clone().into());
        self.gaps.add(Gap { why: why.into(), frames: segment.frames, bytes: None, instance, segments });
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
