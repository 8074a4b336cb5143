//! Recovery: what is done about the files of earlier boots before this one writes.
//!
//! Nothing here keeps a node from starting. An open file that cannot be read or mended, and any that cannot be removed, is
//! left where it is, counted and logged, and tried again at the next start. A sealed one that cannot be read is set aside.

use std::io;

use tracing::warn;

use super::books::{Entry, Place};
use super::files::{aside_name, blob_name};
use super::gaps::Gaps;
use super::leftovers::Leftovers;
use super::mend::{Mended, Standing, mend};
use super::shelf::Found;
use super::trouble::Aside;
use super::{Blob, Now, Sealed, SpoolSettings, UNREADABLE};
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
    /// Sealed segments that could not be read, and were set aside.
    pub set_aside: u64,
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
    let mut recovery = Recovering { directory, told: Recovery::default(), gaps: Gaps::default() };
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
    let mut entries = Vec::new();
    for id in sealed {
        let blobs = blobs.remove(&id).unwrap_or_default();
        match recovery.describe(&id, &blobs, now) {
            Ok(entry) => entries.push(entry),
            Err(error) => aside.entry(id.clone()).or_default().extend(recovery.set_aside(&id, &blobs, &error)),
        }
    }
    // What could not be mended may be at the next start, and wants its blobs then.
    for (id, orphans) in blobs {
        if !(open.contains(&id) && recovery.is_there(&id)) {
            orphans.iter().for_each(|blob| recovery.remove(&blob_name(&id, &blob.hash)));
        }
    }
    let mut kept = Aside::default();
    for names in aside.into_values() {
        kept.add(names).iter().for_each(|name| recovery.remove(name));
    }
    let found = Found { entries, aside: kept };
    Recovered { found, gaps: recovery.gaps, told: recovery.told }
}

struct Recovering<'a> {
    directory: &'a Directory,
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

    /// What the shelf knows of a segment without unpacking it.
    fn describe(&self, id: &SegmentId, blobs: &[Blob], now: Now) -> io::Result<Entry> {
        let name = id.sealed_name();
        let file = self.directory.metadata(&name)?;
        let contents = Contents::of_sealed(&self.directory.read_first(&name, CONTENTS_BYTES_MAX as u64)?);
        let modified = file.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = modified.map_or(now.wall, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        let known = contents.filter(|contents| contents.clock > 0);
        let (born, last) = known.map_or((modified, modified), |contents| {
            (contents.clock, contents.clock.saturating_add(contents.t1.saturating_mul(1_000)))
        });
        let age = i64::try_from(now.wall.saturating_sub(last) / 1_000).unwrap_or(i64::MAX);
        let frames = contents.map(|contents| contents.frames);
        let Contents { first_seq, last_seq, .. } = contents.unwrap_or_default();
        let (bytes, blobs) = (file.len(), blobs.to_vec());
        let sealed = Sealed { id: id.clone(), bytes, first_seq, last_seq, frames: frames.unwrap_or(0), blobs };
        let last_at = i64::try_from(now.micros()).unwrap_or(i64::MAX).saturating_sub(age);
        Ok(Entry { place: Place { born, id: id.clone() }, sealed, frames, last_at })
    }

    /// Gives the files of a segment that cannot be read other names, and tells that it is missing; the names.
    fn set_aside(&mut self, id: &SegmentId, blobs: &[Blob], why: &io::Error) -> Vec<String> {
        let name = id.sealed_name();
        if let Err(error) = self.directory.rename(&name, &aside_name(&name)) {
            self.leave(&name, &error);
            return Vec::new();
        }
        warn!(segment = %id, %why, "a segment of an earlier start cannot be read: it is set aside and counts as lost");
        self.told.set_aside += 1;
        let segments = Some((id.sequence, id.sequence));
        self.gaps.add(Gap {
            why: UNREADABLE.into(),
            instance: Some(id.instance.clone().into()),
            segments,
            ..Gap::default()
        });
        let blobs = blobs.iter().map(|blob| blob_name(id, &blob.hash));
        // A message that keeps its name has no segment, and goes at the next start.
        let kept = blobs.filter(|blob| self.directory.rename(blob, &aside_name(blob)).is_ok()).collect::<Vec<_>>();
        [name].iter().chain(&kept).map(|name| aside_name(name)).collect()
    }

    fn is_there(&self, id: &SegmentId) -> bool {
        self.directory.metadata(&id.open_name()).is_ok()
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
