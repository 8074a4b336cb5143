//! Which segments are offered, wanted and under way on one line.

use std::collections::{BTreeMap, VecDeque};

use shadowcat_proto::fleet::v1 as wire;
use shadowcat_tape::segment::SegmentId;

use super::super::line::Violation;

/// Offers outstanding, whatever the control plane would take: each costs a few hundred bytes.
const OFFERS_MAX: u32 = 256;

/// The state of one line.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// How many may be offered beyond those stored or refused; 0 before the welcome.
    offers_max: usize,
    offered: BTreeMap<SegmentId, Standing>,
    /// Wanted and not sent yet, in the order in which they were wanted.
    wanted: VecDeque<Wanted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Offered,
    Wanted,
}

/// A segment to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) segment: SegmentId,
    /// Hashes of the blobs that go before it.
    pub(super) blobs: Vec<[u8; 32]>,
}

impl Desk {
    /// The control plane has said welcome.
    pub(super) fn open(&mut self, offers_max: u32) {
        self.offers_max = offers_max.clamp(1, OFFERS_MAX) as usize;
    }

    /// How many more may be offered.
    pub(super) fn room(&self) -> usize {
        self.offers_max.saturating_sub(self.offered.len())
    }

    /// Whether a segment is offered, wanted or under way.
    pub(super) fn has(&self, segment: &SegmentId) -> bool {
        self.offered.contains_key(segment)
    }

    pub(super) fn offered(&mut self, segment: SegmentId) {
        self.offered.insert(segment, Standing::Offered);
    }

    /// # Errors
    /// When what is wanted was not offered, or is wanted twice.
    pub(super) fn want(&mut self, wanted: &wire::SegmentWanted) -> Result<(), Violation> {
        let segment = id(&wanted.instance, wanted.sequence)?;
        match self.offered.get_mut(&segment) {
            Some(standing @ Standing::Offered) => *standing = Standing::Wanted,
            Some(Standing::Wanted) | None => return Err(Violation::NotOffered(wanted.sequence)),
        }
        let hashes = wanted.blobs.iter().map(|hash| <[u8; 32]>::try_from(&**hash));
        let blobs = hashes.collect::<Result<_, _>>().map_err(|_| Violation::NotOffered(wanted.sequence))?;
        self.wanted.push_back(Wanted { segment, blobs });
        Ok(())
    }

    /// What is to be sent next.
    pub(super) fn next(&mut self) -> Option<Wanted> {
        self.wanted.pop_front()
    }

    /// A segment is settled, stored or refused. One that this line did not offer is another line's, or a repetition.
    ///
    /// # Errors
    /// When it names no segment.
    pub(super) fn settled(&mut self, instance: &str, sequence: u64) -> Result<Option<SegmentId>, Violation> {
        let segment = id(instance, sequence)?;
        Ok(self.offered.remove(&segment).map(|_| segment))
    }
}

fn id(instance: &str, sequence: u64) -> Result<SegmentId, Violation> {
    SegmentId::new(instance, sequence).map_err(|_| Violation::NotOffered(sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "00112233445566778899aabbccddeeff";

    fn wanted(sequence: u64) -> wire::SegmentWanted {
        wire::SegmentWanted { instance: INSTANCE.to_owned(), sequence, blobs: vec![] }
    }

    #[test]
    fn nothing_is_offered_before_the_welcome_and_no_more_than_it_allows() {
        let mut desk = Desk::default();
        assert_eq!(desk.room(), 0);
        desk.open(2);
        for sequence in [1, 2] {
            desk.offered(id(INSTANCE, sequence).unwrap());
        }
        assert_eq!(desk.room(), 0);
        assert!(desk.settled(INSTANCE, 1).unwrap().is_some());
        assert_eq!((desk.room(), desk.settled(INSTANCE, 1).unwrap()), (1, None));
    }

    #[test]
    fn what_was_not_offered_is_not_sent_and_what_was_is_sent_once() {
        let mut desk = Desk::default();
        desk.open(4);
        assert!(desk.want(&wanted(1)).is_err());
        desk.offered(id(INSTANCE, 1).unwrap());
        desk.want(&wanted(1)).unwrap();
        assert!(desk.want(&wanted(1)).is_err());
        assert_eq!(desk.next().unwrap().segment, id(INSTANCE, 1).unwrap());
        assert_eq!(desk.next(), None);
        assert!(desk.want(&wire::SegmentWanted { instance: "../../etc".to_owned(), ..wanted(2) }).is_err());
    }
}
