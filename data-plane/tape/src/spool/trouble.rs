//! Segments that make trouble: those that cannot be read, and those that cannot be removed.
//!
//! Neither may keep the others from being taken. What cannot be read rests and is tried again. A few that fail alone are set aside in
//! the end: they keep their bytes under other names, for a person to look at, and the writer tells of them as of what is lost. Where
//! many fail together it is the disk, or whose the files are, and they wait for it to come right. Neither removes anything: that is
//! for the bounds of the spool alone. What cannot be removed after it was taken is not offered again in this boot; the next one offers
//! it, and is told that it is known.

use std::io;

use tracing::warn;

use super::LOCK;
use super::books::{Entry, Loss, SetAside, Unread};
use super::files::{aside_name, blob_name};
use super::shelf::Shelf;
use crate::segment::SegmentId;

/// How often a segment cannot be read before it is set aside. Between two times lies [`TRY_AGAIN_AFTER`], so what a disk mends
/// within half a minute is not given up.
///
/// [`TRY_AGAIN_AFTER`]: super::writer::TRY_AGAIN_AFTER
const READS_MAX: u32 = 4;

/// Segments that may fail for their own sake while no more do. A bad sector hits one segment or its neighbours; more at once are a
/// disk or an owner that is wrong, with which segments come back that nothing is wrong with.
const TOGETHER_MAX: usize = 4;

/// How often a segment that was taken is removed in vain before it is left to the next start.
const REMOVALS_MAX: u32 = 8;

/// Segments that cannot be dropped and are passed over at most. With more of them it is the directory that takes no orders, and
/// nothing is dropped until it is tried again.
const STUCK_MAX: usize = 16;

/// Segments that are set aside, those of earlier boots included. With so many nobody can say that it is the segments: further ones
/// keep their names and rest until they can be read, or the bounds of the spool take them.
const ASIDE_MAX: usize = 16;

impl Shelf {
    /// Notes that a segment could not be read: it rests, or is set aside.
    pub(super) fn cannot_read(&self, id: &SegmentId, error: &io::Error) {
        // A directory that is away takes all of them with it, and brings them back.
        let is_its_own = is_of_the_file(error) && self.directory.metadata(LOCK).is_ok();
        let entry = {
            let mut books = self.books();
            // One that was taken or dropped meanwhile is missed by nobody.
            let Some(place) = books.place(id) else { return };
            books.unread.entry(place.clone()).or_default().rests = true;
            // Those that have failed before and wait to be tried again fail with it.
            let counts = is_its_own && books.unread.len() <= TOGETHER_MAX;
            let has_room = books.aside.len() < ASIDE_MAX;
            let Some(unread) = books.unread.get_mut(&place).filter(|_| counts) else { return };
            unread.failures += 1;
            if unread.failures < READS_MAX || !has_room {
                return;
            }
            books.strike(&place)
        };
        if let Some(entry) = entry {
            self.set_aside(entry, error);
        }
    }

    /// Gives the files of a segment other names, and tells that it is missing. One that keeps its name waits on.
    fn set_aside(&self, entry: Entry, why: &io::Error) {
        let id = &entry.place.id;
        let sealed = id.sealed_name();
        let aside = aside_name(&sealed);
        let mut names = match self.directory.rename(&sealed, &aside) {
            Ok(()) => vec![aside],
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                warn!(segment = %id, %error, "a segment that cannot be read cannot be set aside either: it is tried again");
                let mut books = self.books();
                books.unread.insert(entry.place.clone(), Unread { failures: READS_MAX - 1, rests: true });
                return books.put(entry);
            }
        };
        warn!(segment = %id, frames = entry.frames, %why, "a recorded segment cannot be read: it is set aside and counts as lost");
        let blobs = entry.sealed.blobs.iter().map(|blob| blob_name(id, &blob.hash));
        names.extend(blobs.filter_map(|name| self.rename_aside(name)));
        let mut books = self.books();
        if !names.is_empty() {
            books.put_aside(SetAside { entry: Entry { frames: Some(0), ..entry.clone() }, names, is_stuck: false });
        }
        books.lost.push((entry, Loss::Unreadable));
    }

    /// Sets a message that is kept apart aside; the name that it has now, if it is there.
    fn rename_aside(&self, name: String) -> Option<String> {
        let aside = aside_name(&name);
        match self.directory.rename(&name, &aside) {
            Ok(()) => Some(aside),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(file = name, %error, "a message of a segment that is set aside keeps its name");
                Some(name)
            }
        }
    }

    /// What was set aside since this was asked last.
    pub(super) fn take_lost(&self) -> Vec<(Entry, Loss)> {
        std::mem::take(&mut self.books().lost)
    }

    /// Gives what made trouble another chance: to be read, to be dropped, to be removed.
    pub(super) fn try_again(&self) {
        let (settled, rested) = {
            let mut books = self.books();
            books.stuck.clear();
            books.aside.values_mut().for_each(|kept| kept.is_stuck = false);
            let mut rested = false;
            books.unread.values_mut().for_each(|unread| rested |= std::mem::take(&mut unread.rests));
            let settled = books.settled.values().filter(|settled| settled.failures < REMOVALS_MAX);
            (settled.map(|settled| settled.entry.clone()).collect::<Vec<_>>(), rested)
        };
        for entry in settled {
            let removed = self.remove_files(&entry.place.id, &entry.sealed.blobs);
            let mut books = self.books();
            match removed {
                Ok(()) => drop(books.strike(&entry.place)),
                Err(_) => {
                    if let Some(settled) = books.settled.get_mut(&entry.place) {
                        settled.failures += 1;
                    }
                }
            }
        }
        if rested {
            self.tell();
        }
    }

    /// Removes the oldest segment that can be removed, if it is one that may go; before all others one that was set aside.
    pub(super) fn drop_oldest(&self, may_go: impl Fn(&Entry) -> bool) -> Option<Entry> {
        self.drop_aside(&may_go).or_else(|| self.drop_waiting(may_go))
    }

    fn drop_aside(&self, may_go: impl Fn(&Entry) -> bool) -> Option<Entry> {
        loop {
            let kept = self.books().aside_droppable().find(|kept| may_go(&kept.entry))?.clone();
            let removed = kept.names.iter().try_for_each(|name| self.directory.remove(name));
            let (mut books, place) = (self.books(), &kept.entry.place);
            match removed {
                Ok(()) => return books.strike_aside(place),
                Err(error) => {
                    warn!(segment = %place.id, %error, "a segment that was set aside cannot be removed: the next one is");
                    books.aside.entry(place.clone()).and_modify(|kept| kept.is_stuck = true);
                }
            }
        }
    }

    fn drop_waiting(&self, may_go: impl Fn(&Entry) -> bool) -> Option<Entry> {
        loop {
            let (place, blobs) = {
                let books = self.books();
                if books.stuck.len() >= STUCK_MAX {
                    return None;
                }
                let oldest = books.droppable().next().filter(|oldest| may_go(oldest))?;
                (oldest.place.clone(), oldest.sealed.blobs.clone())
            };
            match self.remove_files(&place.id, &blobs) {
                // Somebody may have taken it meanwhile.
                Ok(()) => match self.books().strike(&place) {
                    Some(entry) => return Some(entry),
                    None => continue,
                },
                Err(error) => {
                    warn!(segment = %place.id, %error, "a segment of the spool cannot be removed: the next one is");
                    let mut books = self.books();
                    if books.place(&place.id).is_some() {
                        books.stuck.insert(place);
                    }
                }
            }
        }
    }

    /// Bytes of so many segments that would be dropped first.
    pub(super) fn bytes_of_oldest(&self, count: usize) -> u64 {
        let books = self.books();
        let aside = books.aside_droppable().map(|kept| &kept.entry);
        aside.chain(books.droppable()).take(count).map(Entry::bytes).sum()
    }
}

/// Whether an error tells of the file, and not of what the process may use.
fn is_of_the_file(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let of_the_process = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    error.kind() != io::ErrorKind::OutOfMemory
        && !of_the_process.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
