//! The shelf: sealed segments that wait to be taken, oldest first.
//!
//! The writer puts them there and drops the oldest when there is no room; a shipper reads and removes them, from any
//! thread. The lock is held for the books alone, never over a file, so a segment may be gone between being listed and
//! being read.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::OnSealed;
use super::books::{Books, Entry, Loss, Place, SetAside, Unread};
use super::files::blob_name;
use crate::blob::{BLOB_PLAIN_BYTES_MAX, is_hash};
use crate::directory::Directory;
use crate::segment::SegmentId;

/// Bytes of a sealed segment that is read: what no segment of this build comes near.
const SEALED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A sealed segment, as it lies on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which one.
    pub id: SegmentId,
    /// Bytes of its file.
    pub bytes: u64,
    /// `seq` of its first record; 0 if its summary is damaged.
    pub first_seq: u64,
    /// `seq` of its last record; 0 if its summary is damaged.
    pub last_seq: u64,
    /// Records of traffic in it; 0 if its summary is damaged.
    pub frames: u64,
    /// Messages that are kept apart from it.
    pub blobs: Vec<Blob>,
}

/// A message that is kept apart, as it lies on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// BLAKE3 of the message, in hexadecimal.
    pub hash: String,
    /// Bytes of its file: packed.
    pub bytes: u64,
}

/// What a shelf begins with.
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    /// Those of them that could not be read.
    pub(super) unread: Vec<SegmentId>,
    pub(super) aside: Vec<SetAside>,
}

/// Sealed segments, for whoever ships them. All methods may be called from any thread; those that touch files say so.
pub struct Shelf {
    pub(super) directory: Directory,
    books: Mutex<Books>,
    on_sealed: Option<OnSealed>,
    /// Keeps other processes out for as long as anybody uses the directory.
    _lock: File,
}

impl Shelf {
    pub(super) fn new(directory: Directory, lock: File, on_sealed: Option<OnSealed>, found: Found) -> Self {
        let Found { entries, unread, aside } = found;
        let mut books = Books::default();
        for Entry { place: Place { born, id }, .. } in &entries {
            let earliest = books.born.entry(id.instance.clone()).or_insert(*born);
            *earliest = (*earliest).min(*born);
        }
        entries.into_iter().for_each(|entry| books.put(entry));
        let unread: Vec<_> = unread.iter().filter_map(|id| books.place(id)).collect();
        books.unread.extend(unread.into_iter().map(|place| (place, Unread { failures: 0, rests: true })));
        aside.into_iter().for_each(|kept| books.put_aside(kept));
        Self { directory, books: Mutex::new(books), on_sealed, _lock: lock }
    }

    /// Up to `count` segments, oldest first: those of earlier instances before those of later ones, each in the order
    /// of their numbers. One that could not be read is passed over until it is tried again.
    #[must_use]
    pub fn oldest(&self, count: usize) -> Vec<Sealed> {
        self.books().offered().take(count).map(|entry| entry.sealed.clone()).collect()
    }

    /// Whether nothing can be taken now. What could not be read may be there all the same, until it is tried again.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.books().offered().next().is_none()
    }

    /// The bytes of a segment's file: zstd, as [`unseal`](crate::segment::unseal) reads it. Blocks on the disk. A segment
    /// that cannot be read rests for a while. When that goes on, and few others fail with it, it is set aside: a `gap`
    /// (`unreadable`) says so.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it was removed or dropped meanwhile; else what the system says.
    pub fn read(&self, id: &SegmentId) -> io::Result<Vec<u8>> {
        let read = self.directory.read(&id.sealed_name(), SEALED_BYTES_MAX);
        read.inspect_err(|error| self.cannot_read(id, error))
    }

    /// The bytes of a blob's file: zstd, as [`blob::unpack`](crate::blob::unpack) reads it. Blocks on the disk.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_blob(&self, id: &SegmentId, hash: &str) -> io::Result<Vec<u8>> {
        if !is_hash(hash) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("`{hash}` is no name of a blob")));
        }
        let read = self.directory.read(&blob_name(id, hash), BLOB_PLAIN_BYTES_MAX as u64);
        read.inspect_err(|error| self.cannot_read(id, error))
    }

    /// Removes a segment and its blobs; one that is not there is removed already. Blocks on the disk.
    ///
    /// # Errors
    /// What the system says. The segment is off the shelf all the same: what is left of it is removed later, or at the
    /// latest when the next boot has offered it once more.
    pub fn remove(&self, id: &SegmentId) -> io::Result<()> {
        self.take(id).1
    }

    /// Removes a segment that nobody will have: a `gap` (`refused`) says so in the next segment that is written. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// As for [`remove`](Self::remove).
    pub fn give_up(&self, id: &SegmentId) -> io::Result<()> {
        let (taken, removed) = self.take(id);
        self.books().lost.extend(taken.map(|entry| (entry, Loss::Refused)));
        removed
    }

    /// Bytes of all segments and blobs on the shelf, of those that were set aside, and of those that were taken and could
    /// not be removed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.books().bytes
    }

    /// How long ago the last record of the oldest segment was written. `at` is the time since the instance's clock
    /// began.
    #[must_use]
    pub fn oldest_age(&self, at: Duration) -> Option<Duration> {
        self.books().entries.values().next().map(|oldest| oldest.age(at))
    }

    /// When the latest instance on the shelf began.
    pub(super) fn latest_born(&self) -> u64 {
        self.books().born.values().copied().max().unwrap_or(0)
    }

    pub(super) fn add(&self, entry: Entry) {
        self.books().put(entry);
        self.tell();
    }

    /// There is something to take that was not there before.
    pub(super) fn tell(&self) {
        if let Some(on_sealed) = &self.on_sealed {
            on_sealed();
        }
    }

    /// Takes a segment off the shelf, if it is there until now; and whether its files are gone.
    fn take(&self, id: &SegmentId) -> (Option<Entry>, io::Result<()>) {
        let Some(entry) = self.books().entry(id).cloned() else { return (None, Ok(())) };
        let removed = self.remove_files(id, &entry.sealed.blobs);
        let mut books = self.books();
        // The writer may have dropped it meanwhile, and tells of it.
        let taken = if removed.is_ok() { books.strike(&entry.place) } else { books.settle(&entry.place) };
        (taken, removed)
    }

    /// What is left of them after an error is removed when it is tried again.
    pub(super) fn remove_files(&self, id: &SegmentId, blobs: &[Blob]) -> io::Result<()> {
        self.directory.remove(&id.sealed_name())?;
        // It is there if the name of the sealed file was not known to be durable.
        self.directory.remove(&id.open_name())?;
        blobs.iter().try_for_each(|blob| self.directory.remove(&blob_name(id, &blob.hash)))
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        // Nothing that runs under the lock can panic half-way.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.books();
        f.debug_struct("Shelf")
            .field("segments", &books.entries.len())
            .field("bytes", &books.bytes)
            .finish_non_exhaustive()
    }
}
