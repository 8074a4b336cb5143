//! Recovery: what is done about the files of earlier boots before this one writes.
//!
//! Nothing here keeps a node from starting. An open file that cannot be read or mended, and any that cannot be removed, is
//! left where it is, counted and logged, and tried again at the next start. A sealed one that cannot be read goes on the shelf and
//! rests there: that a file cannot be read once says nothing of what is in it.

use std::fs::Metadata;
use std::io;
use std::time::UNIX_EPOCH;

use tracing::warn;

use super::books::{Entry, Place, SetAside};
use super::files::blob_name;
use super::gaps::Gaps;
use super::leftovers::Leftovers;
use super::mend::{Mended, Standing, mend};
use super::shelf::Found;
use super::{Blob, Now, Sealed, SpoolSettings};
use crate::directory::Directory;
use crate::record::Gap;
use crate::segment::{CONTENTS_BYTES_MAX, Contents, SegmentId, seal_as};

/// Bytes of an open segment that is mended. No writer makes one of more than its `seal_bytes` and a line; a larger file
/// was not written here and is left alone.
const OPEN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What earlier boots had left, and what was done about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments that were sealed already. They were not unpacked.
    pub found: u64,
    /// Open segments that were mended and sealed.
    pub mended: u64,
    /// Files that were removed: unfinished ones, open segments without a record or with a sealed twin, blobs without a
    /// segment.
    pub removed: u64,
    /// Files that could not be read, mended or removed.
    pub left: u64,
    /// Sealed segments that could not be read. They are tried again.
    pub unread: u64,
    /// Segments that earlier boots had set aside.
    pub aside: u64,
    /// Records that were in the mended segments.
    pub records: u64,
    /// Records that are missing in them, by holes in `seq`.
    pub missing: u64,
    /// Bytes between their records that failed their checksums.
    pub corrupt_bytes: u64,
    /// Bytes at their ends that were no record.
    pub torn_bytes: u64,
}

/// What the shelf and the writer begin with.
pub(super) struct Recovered {
    pub(super) found: Found,
    /// What is missing and has no segment of its own to be told in.
    pub(super) gaps: Gaps,
    pub(super) told: Recovery,
}

pub(super) fn recover(directory: &Directory, leftovers: Leftovers, settings: &SpoolSettings, now: Now) -> Recovered {
    let mut recovery = Recovering { directory, now, told: Recovery::default(), gaps: Gaps::default() };
    for name in &leftovers.unfinished {
        recovery.remove(name);
    }
    recovery.told.found = leftovers.sealed.len() as u64;
    let mended: Vec<_> = leftovers.open.iter().filter(|id| recovery.close(id, &leftovers)).cloned().collect();
    if let Err(error) = directory.sync() {
        warn!(dir = %settings.dir.display(), %error, "names of mended segments may not be durable");
    }
    let Leftovers { open, mut sealed, mut blobs, mut aside, .. } = leftovers;
    sealed.extend(mended);
    let (mut entries, mut unread) = (Vec::new(), Vec::new());
    for id in sealed {
        let (entry, read) = recovery.describe(&id, blobs.remove(&id).unwrap_or_default());
        entries.push(entry);
        if let Err(error) = read {
            warn!(segment = %id, %error, "a segment of an earlier start cannot be read: it stays and is tried again");
            unread.push(id);
        }
    }
    for (id, orphans) in blobs {
        let names = orphans.iter().map(|blob| blob_name(&id, &blob.hash));
        if let Some(files) = aside.get_mut(&id) {
            files.extend(names);
        } else if !(open.contains(&id) && recovery.is_there(&id)) {
            // What could not be mended may be at the next start, and wants its blobs then.
            names.for_each(|name| recovery.remove(&name));
        }
    }
    (recovery.told.unread, recovery.told.aside) = (unread.len() as u64, aside.len() as u64);
    let aside = aside.into_iter().map(|(id, names)| recovery.describe_aside(id, names)).collect();
    let found = Found { entries, unread, aside };
    Recovered { found, gaps: recovery.gaps, told: recovery.told }
}

struct Recovering<'a> {
    directory: &'a Directory,
    now: Now,
    told: Recovery,
    gaps: Gaps,
}

impl Recovering<'_> {
    /// Seals an open segment; whether there is a sealed one now that there was not before.
    fn close(&mut self, id: &SegmentId, leftovers: &Leftovers) -> bool {
        let name = id.open_name();
        if leftovers.sealed.contains(id) {
            // It got its name after its bytes were on the disk, so it is the better of the two.
            self.remove(&name);
            return false;
        }
        let standing = if leftovers.is_last(id) { Standing::Last } else { Standing::Earlier };
        let plain = match self.directory.read(&name, OPEN_BYTES_MAX) {
            Ok(plain) => plain,
            Err(error) => return self.leave(&name, &error),
        };
        let mended = match mend(id, &plain, standing) {
            Ok(mended) => mended,
            Err(refused) => return self.leave(&name, &refused),
        };
        self.count(&mended);
        if mended.contents.records == 0 {
            self.tell_of_nothing(id, plain.len() as u64);
            self.remove(&name);
            return false;
        }
        if let Err(error) = self.seal(id, &mended) {
            return self.leave(&name, &error);
        }
        self.told.mended += 1;
        self.remove_quietly(&name);
        true
    }

    fn seal(&self, id: &SegmentId, mended: &Mended) -> io::Result<()> {
        let mut sealed = Vec::new();
        seal_as(&mended.plain, &mended.contents, &mut sealed)?;
        self.directory.write_whole(&id.sealed_name(), &sealed)
    }

    fn count(&mut self, mended: &Mended) {
        self.told.records += mended.found.records;
        self.told.missing = self.told.missing.saturating_add(mended.found.missing);
        self.told.corrupt_bytes += mended.found.corrupt_bytes;
        self.told.torn_bytes += mended.found.torn_bytes;
    }

    /// A segment of which nothing is left cannot hold its own gap.
    fn tell_of_nothing(&mut self, id: &SegmentId, bytes: u64) {
        if bytes > 0 {
            let segments = Some((id.sequence, id.sequence));
            let instance = Some(id.instance.clone().into());
            self.gaps.add(Gap { why: "crash".into(), frames: None, bytes: Some(bytes), instance, segments });
        }
    }

    /// What the shelf knows of a segment without unpacking it; and whether it can be read.
    fn describe(&self, id: &SegmentId, blobs: Vec<Blob>) -> (Entry, io::Result<()>) {
        let name = id.sealed_name();
        let first_bytes = self.directory.read_first(&name, CONTENTS_BYTES_MAX as u64);
        let contents = first_bytes.as_ref().ok().and_then(|bytes| Contents::of_sealed(bytes));
        let (bytes, modified) = self.measure(&[name]);
        let known = contents.filter(|contents| contents.clock > 0);
        let (born, last) = known.map_or((modified, modified), |contents| {
            (contents.clock, contents.clock.saturating_add(contents.t1.saturating_mul(1_000)))
        });
        let frames = contents.map(|contents| contents.frames);
        let Contents { first_seq, last_seq, .. } = contents.unwrap_or_default();
        let sealed = Sealed { id: id.clone(), bytes, first_seq, last_seq, frames: frames.unwrap_or(0), blobs };
        let (place, last_at) = (Place { born, id: id.clone() }, self.at(last));
        (Entry { place, sealed, frames, last_at }, first_bytes.map(drop))
    }

    /// What the shelf knows of a segment that was set aside by its files alone.
    fn describe_aside(&self, id: SegmentId, names: Vec<String>) -> SetAside {
        let (bytes, born) = self.measure(&names);
        let sealed = Sealed { id: id.clone(), bytes, first_seq: 0, last_seq: 0, frames: 0, blobs: Vec::new() };
        let entry = Entry { place: Place { born, id }, sealed, frames: Some(0), last_at: self.at(born) };
        SetAside { entry, names, is_stuck: false }
    }

    /// Bytes of files, and when the last of them was written: nanoseconds since 1970, now if none of them tells.
    fn measure(&self, names: &[String]) -> (u64, u64) {
        let files: Vec<_> = names.iter().filter_map(|name| self.directory.metadata(name).ok()).collect();
        let modified = files.iter().filter_map(|file| file.modified().ok()?.duration_since(UNIX_EPOCH).ok()).max();
        let modified = modified.map_or(self.now.wall, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        (files.iter().map(Metadata::len).sum(), modified)
    }

    /// A time by the clock of this instance.
    fn at(&self, wall: u64) -> i64 {
        let age = i64::try_from(self.now.wall.saturating_sub(wall) / 1_000).unwrap_or(i64::MAX);
        i64::try_from(self.now.micros()).unwrap_or(i64::MAX).saturating_sub(age)
    }

    /// A file that does not tell may be there.
    fn is_there(&self, id: &SegmentId) -> bool {
        self.directory.metadata(&id.open_name()).map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true)
    }

    fn remove(&mut self, name: &str) {
        self.told.removed += 1;
        self.remove_quietly(name);
    }

    fn remove_quietly(&mut self, name: &str) {
        if let Err(error) = self.directory.remove(name) {
            self.leave(name, &error);
        }
    }

    fn leave(&mut self, name: &str, why: &dyn std::fmt::Display) -> bool {
        warn!(file = name, %why, "a file of an earlier start stays in the spool as it is");
        self.told.left += 1;
        false
    }
}
