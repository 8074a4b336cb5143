//! The shelf: sealed segments that wait to be taken, oldest first.
//!
//! The writer puts them there and drops the oldest when there is no room; a shipper reads and removes them, from any
//! thread. The lock is held for the books alone, never over a file, so a segment may be gone between being listed and
//! being read.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::OnSealed;
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

/// Where a segment stands in the order: instances by their beginning, segments by their number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// When its instance began: nanoseconds since 1970. The same for all segments of an instance once it is on the
    /// shelf.
    pub(super) born: u64,
    pub(super) id: SegmentId,
}

/// What the shelf knows of a segment.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) sealed: Sealed,
    /// Records of traffic, if that is known.
    pub(super) frames: Option<u64>,
    /// When its last record was written: microseconds by this instance's clock, negative for earlier boots.
    pub(super) last_at: i64,
}

impl Entry {
    fn bytes(&self) -> u64 {
        self.sealed.bytes + self.sealed.blobs.iter().map(|blob| blob.bytes).sum::<u64>()
    }
}

#[derive(Default)]
struct Books {
    entries: BTreeMap<Place, Entry>,
    /// When each instance began. As many as had segments when the spool was opened, and this one.
    born: BTreeMap<String, u64>,
    bytes: u64,
    /// Segments that were given up, until the writer tells of them: as many as lay here, at most.
    given_up: Vec<Entry>,
}

impl Books {
    fn put(&mut self, mut entry: Entry) {
        let born = *self.born.entry(entry.place.id.instance.clone()).or_insert(entry.place.born);
        entry.place.born = born;
        self.bytes += entry.bytes();
        self.entries.insert(entry.place.clone(), entry);
    }

    fn place(&self, id: &SegmentId) -> Option<Place> {
        let place = Place { born: *self.born.get(&id.instance)?, id: id.clone() };
        self.entries.contains_key(&place).then_some(place)
    }
}

/// Sealed segments, for whoever ships them. All methods may be called from any thread; those that touch files say so.
pub struct Shelf {
    directory: Directory,
    books: Mutex<Books>,
    on_sealed: Option<OnSealed>,
    /// Keeps other processes out for as long as anybody uses the directory.
    _lock: File,
}

impl Shelf {
    pub(super) fn new(directory: Directory, lock: File, on_sealed: Option<OnSealed>, entries: Vec<Entry>) -> Self {
        let mut books = Books::default();
        for Entry { place: Place { born, id }, .. } in &entries {
            let earliest = books.born.entry(id.instance.clone()).or_insert(*born);
            *earliest = (*earliest).min(*born);
        }
        entries.into_iter().for_each(|entry| books.put(entry));
        Self { directory, books: Mutex::new(books), on_sealed, _lock: lock }
    }

    /// Up to `count` segments, oldest first: those of earlier instances before those of later ones, each in the order
    /// of their numbers.
    #[must_use]
    pub fn oldest(&self, count: usize) -> Vec<Sealed> {
        self.books().entries.values().take(count).map(|entry| entry.sealed.clone()).collect()
    }

    /// The bytes of a segment's file: zstd, as [`unseal`](crate::segment::unseal) reads it. Blocks on the disk.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it was removed or dropped meanwhile; else what the system says.
    pub fn read(&self, id: &SegmentId) -> io::Result<Vec<u8>> {
        self.directory.read(&id.sealed_name(), SEALED_BYTES_MAX)
    }

    /// The bytes of a blob's file: zstd, as [`blob::unpack`](crate::blob::unpack) reads it. Blocks on the disk.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_blob(&self, id: &SegmentId, hash: &str) -> io::Result<Vec<u8>> {
        if !is_hash(hash) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("`{hash}` is no name of a blob")));
        }
        self.directory.read(&blob_name(id, hash), BLOB_PLAIN_BYTES_MAX as u64)
    }

    /// Removes a segment and its blobs; one that is not there is removed already. Blocks on the disk.
    ///
    /// # Errors
    /// What the system says. The segment then stays on the shelf.
    pub fn remove(&self, id: &SegmentId) -> io::Result<()> {
        self.take_listed(id).map(drop)
    }

    /// Removes a segment that nobody will have: a `gap` says so in the next segment that is written. Blocks on the disk.
    ///
    /// # Errors
    /// As for [`remove`](Self::remove).
    pub fn give_up(&self, id: &SegmentId) -> io::Result<()> {
        let taken = self.take_listed(id)?;
        self.books().given_up.extend(taken);
        Ok(())
    }

    /// What was given up since this was asked last.
    pub(super) fn take_given_up(&self) -> Vec<Entry> {
        std::mem::take(&mut self.books().given_up)
    }

    /// Bytes of all segments and blobs on the shelf.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.books().bytes
    }

    /// How long ago the last record of the oldest segment was written. `at` is the time since the instance's clock
    /// began.
    #[must_use]
    pub fn oldest_age(&self, at: Duration) -> Option<Duration> {
        let books = self.books();
        let (_, oldest) = books.entries.first_key_value()?;
        let at = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        Some(Duration::from_micros(u64::try_from(at.saturating_sub(oldest.last_at)).unwrap_or(0)))
    }

    /// When the latest instance on the shelf began.
    pub(super) fn latest_born(&self) -> u64 {
        self.books().born.values().copied().max().unwrap_or(0)
    }

    pub(super) fn add(&self, entry: Entry) {
        self.books().put(entry);
        if let Some(on_sealed) = &self.on_sealed {
            on_sealed();
        }
    }

    /// Removes the oldest segment; `None` if there is none.
    pub(super) fn drop_oldest(&self) -> io::Result<Option<Entry>> {
        let oldest =
            self.books().entries.first_key_value().map(|(place, entry)| (place.clone(), entry.sealed.blobs.clone()));
        let Some((place, blobs)) = oldest else { return Ok(None) };
        self.take(&place, &blobs)
    }

    fn take_listed(&self, id: &SegmentId) -> io::Result<Option<Entry>> {
        let listed = {
            let books = self.books();
            books.place(id).and_then(|place| books.entries.get(&place).cloned())
        };
        let Some(Entry { place, sealed, .. }) = listed else { return Ok(None) };
        self.take(&place, &sealed.blobs)
    }

    /// Removes the files first: what is left of them after an error is still on the books.
    fn take(&self, place: &Place, blobs: &[Blob]) -> io::Result<Option<Entry>> {
        self.directory.remove(&place.id.sealed_name())?;
        // It is there if the name of the sealed file was not known to be durable.
        self.directory.remove(&place.id.open_name())?;
        for blob in blobs {
            self.directory.remove(&blob_name(&place.id, &blob.hash))?;
        }
        let mut books = self.books();
        let entry = books.entries.remove(place);
        books.bytes -= entry.as_ref().map_or(0, Entry::bytes);
        Ok(entry)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
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
