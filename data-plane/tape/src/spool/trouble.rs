//! Segments that make trouble: those that cannot be read, and those that cannot be removed.
//!
//! Neither may keep the others from being taken. What cannot be read rests, is tried again, and is set aside in the end: it keeps its
//! bytes under another name, for a person to look at, and the writer tells of it as of what is lost. What cannot be removed after it
//! was taken is not offered again in this boot; the next one offers it, and is told that it is known.

use std::collections::VecDeque;
use std::io;

use tracing::warn;

use super::LOCK;
use super::books::{Entry, Loss, Place};
use super::files::{aside_name, blob_name};
use super::shelf::Shelf;
use crate::segment::SegmentId;

/// How often a segment cannot be read before it is set aside. Between two times lies [`TRY_AGAIN_AFTER`], so what a disk mends
/// within half a minute is not given up.
///
/// [`TRY_AGAIN_AFTER`]: super::writer::TRY_AGAIN_AFTER
const READS_MAX: u32 = 4;

/// How often a segment that was taken is removed in vain before it is left to the next start.
const REMOVALS_MAX: u32 = 8;

/// Segments that cannot be dropped and are passed over at most. With more of them it is the directory that takes no orders, and
/// nothing is dropped until it is tried again.
const STUCK_MAX: usize = 16;

/// Segments that are kept aside. Beyond it the earliest goes, those of earlier boots first: it cannot be read, and whoever
/// wants to look at what happened has the others.
const ASIDE_MAX: usize = 16;

/// Files that were set aside, by segment, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Aside(VecDeque<Vec<String>>);

impl Aside {
    /// Adds the files of a segment, and returns those that are too many.
    pub(super) fn add(&mut self, names: Vec<String>) -> Vec<String> {
        self.0.push_back(names);
        let excess = self.0.len().saturating_sub(ASIDE_MAX);
        self.0.drain(..excess).flatten().collect()
    }
}

impl Shelf {
    /// Notes that a segment could not be read: it rests, or is set aside.
    pub(super) fn cannot_read(&self, id: &SegmentId, error: &io::Error) {
        // A directory that is away takes all of them with it, and brings them back.
        let is_its_own = is_of_the_file(error) && self.directory.metadata(LOCK).is_ok();
        let place = {
            let mut books = self.books();
            // One that was taken or dropped meanwhile is missed by nobody.
            let Some(place) = books.place(id) else { return };
            let unread = books.unread.entry(place.clone()).or_default();
            (unread.rests, unread.failures) = (true, unread.failures + u32::from(is_its_own));
            if unread.failures < READS_MAX {
                return;
            }
            place
        };
        self.set_aside(&place, error);
    }

    fn set_aside(&self, place: &Place, error: &io::Error) {
        let Some(entry) = self.books().strike(place) else { return };
        warn!(segment = %place.id, frames = entry.frames, %error, "a recorded segment cannot be read: it is set aside and counts as lost");
        let blobs = entry.sealed.blobs.iter().map(|blob| blob_name(&place.id, &blob.hash));
        let names = [place.id.sealed_name()].into_iter().chain(blobs).filter_map(|name| self.rename_aside(&name));
        let names = names.collect();
        self.books().lost.push((entry, Loss::Unreadable));
        for name in self.aside().add(names) {
            // What cannot be removed stays, and is found at the next start.
            let _ = self.directory.remove(&name);
        }
    }

    fn rename_aside(&self, name: &str) -> Option<String> {
        let aside = aside_name(name);
        match self.directory.rename(name, &aside) {
            Ok(()) => Some(aside),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(file = name, %error, "a file that cannot be read keeps its name: the next start tries it again");
                None
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

    /// Removes the oldest segment that can be removed, if it is one that may go.
    pub(super) fn drop_oldest(&self, may_go: impl Fn(&Entry) -> bool) -> Option<Entry> {
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
        self.books().droppable().take(count).map(Entry::bytes).sum()
    }
}

/// Whether an error tells of the file, and not of what the process may use.
fn is_of_the_file(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let of_the_process = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    error.kind() != io::ErrorKind::OutOfMemory
        && !of_the_process.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
