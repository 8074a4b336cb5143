//! Which segments are offered, wanted and under way on one line.

use std::collections::{BTreeMap, VecDeque};

use shadowcat_proto::fleet::v1 as wire;
use shadowcat_tape::segment::SegmentId;

use super::super::line::Violation;

/// Offers outstanding, whatever the control plane would take: each costs a few hundred bytes.
const OFFERS_MAX: u32 = 256;

/// How often a segment is offered on one line that is refused each time. What was read or sent wrongly is right the next time; what is not
/// will never be.
const OFFERED_MAX: u32 = 3;

/// Refused segments that are remembered. Beyond it the oldest is forgotten, and offered as often again.
const REFUSED_MAX: usize = 1024;

/// The state of one line.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// How many may be offered beyond those stored or refused; 0 before the welcome.
    offers_max: usize,
    offered: BTreeMap<SegmentId, Standing>,
    /// How often each was refused that is still to be stored.
    refused: BTreeMap<SegmentId, u32>,
    /// Wanted and not sent yet, in the order in which they were wanted.
    wanted: VecDeque<Wanted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Offered,
    Wanted,
}

/// What follows from a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was another line's, or is repeated.
    Nothing,
    OfferAgain,
    GiveUp(SegmentId),
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

    /// A segment is stored. One that this line did not offer is another line's, or a repetition.
    ///
    /// # Errors
    /// When it names no segment.
    pub(super) fn stored(&mut self, instance: &str, sequence: u64) -> Result<Option<SegmentId>, Violation> {
        let segment = id(instance, sequence)?;
        self.refused.remove(&segment);
        Ok(self.offered.remove(&segment).map(|_| segment))
    }

    /// A segment is refused.
    ///
    /// # Errors
    /// When it names no segment.
    pub(super) fn refused(&mut self, instance: &str, sequence: u64) -> Result<Refusal, Violation> {
        let segment = id(instance, sequence)?;
        if self.offered.remove(&segment).is_none() {
            return Ok(Refusal::Nothing);
        }
        self.wanted.retain(|wanted| wanted.segment != segment);
        let times = self.refused.remove(&segment).unwrap_or(0) + 1;
        if times >= OFFERED_MAX {
            return Ok(Refusal::GiveUp(segment));
        }
        if self.refused.len() >= REFUSED_MAX {
            self.refused.pop_first();
        }
        self.refused.insert(segment, times);
        Ok(Refusal::OfferAgain)
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
        assert!(desk.stored(INSTANCE, 1).unwrap().is_some());
        assert_eq!((desk.room(), desk.stored(INSTANCE, 1).unwrap()), (1, None));
    }

    #[test]
    fn what_is_refused_is_offered_again_some_times_and_then_given_up() {
        let mut desk = Desk::default();
        desk.open(4);
        let segment = id(INSTANCE, 1).unwrap();
        for _ in 1..OFFERED_MAX {
            desk.offered(segment.clone());
            desk.want(&wanted(1)).unwrap();
            assert_eq!(desk.refused(INSTANCE, 1).unwrap(), Refusal::OfferAgain);
            assert!(!desk.has(&segment) && desk.next().is_none());
            assert_eq!(desk.refused(INSTANCE, 1).unwrap(), Refusal::Nothing);
        }
        desk.offered(segment.clone());
        assert_eq!(desk.refused(INSTANCE, 1).unwrap(), Refusal::GiveUp(segment.clone()));
        // What is stored in the end begins anew.
        desk.offered(segment.clone());
        assert_eq!(desk.refused(INSTANCE, 1).unwrap(), Refusal::OfferAgain);
        desk.offered(segment.clone());
        assert_eq!(desk.stored(INSTANCE, 1).unwrap(), Some(segment));
        assert!(desk.refused.is_empty());
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
