//! What the shelf knows of each segment: the books, which are kept under one lock and never wait for a file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Sealed, UNREADABLE};
use crate::segment::SegmentId;

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
    pub(super) fn bytes(&self) -> u64 {
        self.sealed.bytes + self.sealed.blobs.iter().map(|blob| blob.bytes).sum::<u64>()
    }

    /// How long ago its last record was written; `at` is the time since this instance's clock began.
    pub(super) fn age(&self, at: Duration) -> Duration {
        let at = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        Duration::from_micros(u64::try_from(at.saturating_sub(self.last_at)).unwrap_or(0))
    }
}

/// A segment that nobody waits for any more, and whose files are still there.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) entry: Entry,
    /// How often they could not be removed.
    pub(super) failures: u32,
}

/// A segment that could not be read and has other names now. The record says already that it is missing.
#[derive(Debug, Clone)]
pub(super) struct SetAside {
    /// What it was, without frames: none is missing by it that is not told.
    pub(super) entry: Entry,
    /// The names of its files.
    pub(super) names: Vec<String>,
    /// They could not be removed. They are passed over until they are tried again.
    pub(super) is_stuck: bool,
}

/// How it went with a segment that could not be read.
#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) failures: u32,
    /// It is passed over until it is tried again.
    pub(super) rests: bool,
}

/// Why nobody will have a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It could not be read, and was set aside.
    Unreadable,
    /// Nobody takes it, and it was given up.
    Refused,
}

impl Loss {
    /// As a `gap` says it.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Unreadable => UNREADABLE,
            Self::Refused => "refused",
        }
    }
}

#[derive(Default)]
pub(super) struct Books {
    /// What waits to be taken.
    pub(super) entries: BTreeMap<Place, Entry>,
    /// Those of them that could not be read. They are tried again, and may be set aside in the end.
    pub(super) unread: BTreeMap<Place, Unread>,
    /// Those of them that could not be dropped. They are passed over until they are tried again.
    pub(super) stuck: BTreeSet<Place>,
    /// What was taken and is still there. It is not offered again.
    pub(super) settled: BTreeMap<Place, Settled>,
    /// What was set aside, the oldest first. It is the first to be dropped.
    pub(super) aside: BTreeMap<Place, SetAside>,
    /// What nobody will have, until the writer has told of it: as many as lay here, at most.
    pub(super) lost: Vec<(Entry, Loss)>,
    /// When each instance began. As many as had segments when the spool was opened, and this one.
    pub(super) born: BTreeMap<String, u64>,
    /// Of all segments whose files are there, whatever their names are.
    pub(super) bytes: u64,
}

impl Books {
    pub(super) fn put(&mut self, mut entry: Entry) {
        let born = *self.born.entry(entry.place.id.instance.clone()).or_insert(entry.place.born);
        entry.place.born = born;
        self.bytes += entry.bytes();
        self.entries.insert(entry.place.clone(), entry);
    }

    pub(super) fn place(&self, id: &SegmentId) -> Option<Place> {
        let place = Place { born: *self.born.get(&id.instance)?, id: id.clone() };
        self.entries.contains_key(&place).then_some(place)
    }

    /// A segment that waits to be taken.
    pub(super) fn entry(&self, id: &SegmentId) -> Option<&Entry> {
        self.entries.get(&self.place(id)?)
    }

    /// What may be taken now, the oldest first.
    pub(super) fn offered(&self) -> impl Iterator<Item = &Entry> {
        let rests = |place| self.unread.get(place).is_some_and(|unread| unread.rests);
        self.entries.iter().filter(move |(place, _)| !rests(place)).map(|(_, entry)| entry)
    }

    /// What may be dropped now, the oldest first.
    pub(super) fn droppable(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|(place, _)| !self.stuck.contains(place)).map(|(_, entry)| entry)
    }

    /// What was set aside and may be dropped now, the oldest first.
    pub(super) fn aside_droppable(&self) -> impl Iterator<Item = &SetAside> {
        self.aside.values().filter(|kept| !kept.is_stuck)
    }

    pub(super) fn put_aside(&mut self, kept: SetAside) {
        self.bytes += kept.entry.bytes();
        let before = self.aside.insert(kept.entry.place.clone(), kept);
        self.bytes -= before.map_or(0, |before| before.entry.bytes());
    }

    /// Strikes out what was set aside and is gone now.
    pub(super) fn strike_aside(&mut self, place: &Place) -> Option<Entry> {
        let entry = self.aside.remove(place)?.entry;
        self.bytes -= entry.bytes();
        Some(entry)
    }

    /// Strikes out a segment whose files are gone, or are about to have other names. It is returned if it waited: one
    /// that was taken is missed by nobody.
    pub(super) fn strike(&mut self, place: &Place) -> Option<Entry> {
        let settled = self.settled.remove(place).map(|settled| settled.entry);
        let waited = self.withdraw(place);
        self.bytes -= waited.as_ref().or(settled.as_ref()).map_or(0, Entry::bytes);
        waited
    }

    /// A segment was taken, and its files are still there. It is returned if it waited until now.
    pub(super) fn settle(&mut self, place: &Place) -> Option<Entry> {
        let entry = self.withdraw(place)?;
        self.settled.insert(place.clone(), Settled { entry: entry.clone(), failures: 1 });
        Some(entry)
    }

    /// It waits no more.
    fn withdraw(&mut self, place: &Place) -> Option<Entry> {
        self.unread.remove(place);
        self.stuck.remove(place);
        self.entries.remove(place)
    }
}

#[cfg(test)]
mod tests {
    use super::{Books, Entry, Place, Sealed};
    use crate::segment::SegmentId;

    fn books() -> (Books, Place) {
        let id = SegmentId::new(&"0".repeat(32), 1).unwrap();
        let sealed = Sealed { id: id.clone(), bytes: 7, first_seq: 1, last_seq: 9, frames: 8, blobs: Vec::new() };
        let place = Place { born: 1, id };
        let mut books = Books::default();
        books.put(Entry { place: place.clone(), sealed, frames: Some(8), last_at: 0 });
        (books, place)
    }

    #[test]
    fn what_was_taken_is_not_missed_when_its_files_go_in_the_end() {
        let (mut books, place) = books();
        assert!(books.settle(&place).is_some() && books.bytes == 7);
        assert!(books.strike(&place).is_none(), "whoever removes its files has dropped nothing");
        assert_eq!(books.bytes, 0);
    }

    #[test]
    fn what_was_dropped_meanwhile_is_not_missed_by_whoever_wanted_to_take_it() {
        let (mut books, place) = books();
        assert!(books.strike(&place).is_some());
        assert!(books.settle(&place).is_none() && books.settled.is_empty() && books.bytes == 0);
    }
}
