//! What is missing and was not told yet.

use crate::record::Gap;

/// Gaps that wait to be told at most. One comes about per cause and run of segments, so more than a few need a disk
/// that fails and recovers all the time; beyond the bound they are added up without telling which segments they were.
const PENDING_MAX: usize = 64;

/// Gaps that wait for a segment that can be written.
#[derive(Debug, Default)]
pub(super) struct Gaps(Vec<Gap<'static>>);

impl Gaps {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one, to another of its kind if it continues it.
    pub(super) fn add(&mut self, gap: Gap<'static>) {
        if let Some(same) = self.0.iter_mut().rev().find(|pending| continues(pending, &gap)) {
            same.frames = sum(same.frames, gap.frames);
            same.bytes = sum(same.bytes, gap.bytes);
            same.segments = same.segments.zip(gap.segments).map(|((first, _), (_, last))| (first, last));
            return;
        }
        if self.0.len() < PENDING_MAX {
            self.0.push(gap);
            return;
        }
        let alike = self.0.iter().rposition(|pending| pending.why == gap.why).unwrap_or(PENDING_MAX - 1);
        let pending = &mut self.0[alike];
        // How many are missing is known only if all of them are.
        pending.frames = pending.frames.zip(gap.frames).map(|(one, other)| one.saturating_add(other));
        pending.bytes = sum(pending.bytes, gap.bytes);
        (pending.instance, pending.segments) = (None, None);
    }

    /// All of them, in the order in which they came about.
    pub(super) fn take(&mut self) -> Vec<Gap<'static>> {
        std::mem::take(&mut self.0)
    }
}

fn continues(before: &Gap<'_>, gap: &Gap<'_>) -> bool {
    let next = match (before.segments, gap.segments) {
        (None, None) => true,
        (Some((_, last)), Some((first, _))) => last.checked_add(1) == Some(first),
        _ => false,
    };
    next && before.why == gap.why && before.instance == gap.instance && before.frames.is_some() == gap.frames.is_some()
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (known, None) | (None, known) => known,
    }
}

#[cfg(test)]
mod tests {
    use super::{Gaps, PENDING_MAX};
    use crate::record::Gap;

    fn dropped(why: &'static str, segment: u64) -> Gap<'static> {
        Gap { why: why.into(), frames: Some(10), segments: Some((segment, segment)), ..Gap::default() }
    }

    #[test]
    fn runs_of_segments_are_one_gap_and_what_is_between_them_is_not() {
        let mut gaps = Gaps::default();
        for segment in [1, 2, 3, 7] {
            gaps.add(dropped("spool_full", segment));
        }
        let told: Vec<_> = gaps.take().into_iter().map(|gap| (gap.segments, gap.frames)).collect();
        assert_eq!(told, [(Some((1, 3)), Some(30)), (Some((7, 7)), Some(10))]);
        assert!(gaps.is_empty());
    }

    #[test]
    fn beyond_the_bound_gaps_are_added_up_and_none_is_forgotten() {
        let mut gaps = Gaps::default();
        for segment in 0..1_000 {
            gaps.add(dropped("disk_failed", segment * 2));
        }
        let told = gaps.take();
        assert_eq!(told.len(), PENDING_MAX);
        assert_eq!(told.iter().filter_map(|gap| gap.frames).sum::<u64>(), 10_000);
    }
}
