//! How many calls there were of something, how many failed, and how long they took.

/// Buckets of latency, as `TrafficSeries` has them.
pub(super) const BUCKETS: usize = 46;

/// Microseconds that the first bucket reaches to.
const FIRST_BUCKET: u64 = 64;

/// Calls of something. It is also what one replica writes for the others.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Tally {
    #[prost(uint64, tag = "1")]
    pub(crate) calls: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) errors: u64,
    /// By bucket; those at the end may be left out.
    #[prost(uint64, repeated, tag = "3")]
    pub(crate) latency: Vec<u64>,
}

impl Tally {
    /// Calls as they were told; buckets that there are not are left out.
    pub(super) fn told(calls: u64, errors: u64, mut latency: Vec<u64>) -> Self {
        latency.truncate(BUCKETS);
        Self { calls, errors, latency }
    }

    /// Counts these calls too.
    pub(super) fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        if self.latency.len() < other.latency.len() {
            self.latency.resize(other.latency.len(), 0);
        }
        for (count, more) in self.latency.iter_mut().zip(&other.latency) {
            *count = count.saturating_add(*more);
        }
    }

    /// What came after `before`. A count that is smaller now began anew: then it is all of it.
    pub(super) fn since(&self, before: &Self) -> Self {
        if self.calls < before.calls {
            return self.clone();
        }
        let earlier = before.latency.iter().chain(std::iter::repeat(&0));
        Self {
            calls: self.calls - before.calls,
            errors: self.errors.saturating_sub(before.errors),
            latency: self.latency.iter().zip(earlier).map(|(now, then)| now.saturating_sub(*then)).collect(),
        }
    }

    /// The latency that so many percent of the calls did not exceed, in microseconds: within the bucket of that call, where it would be
    /// if its calls were spread evenly. What is beyond the last bound is told as that bound. `None` without calls.
    pub(super) fn percentile(&self, percent: u8) -> Option<u64> {
        let all = self.latency.iter().fold(0_u128, |sum, count| sum + u128::from(*count));
        let place = (all * u128::from(percent)).div_ceil(100).max(1);
        let mut before = 0;
        for (bucket, count) in self.latency.iter().enumerate() {
            let count = u128::from(*count);
            if count > 0 && before + count >= place {
                let from = floor(bucket);
                if bucket + 1 >= BUCKETS {
                    return Some(from);
                }
                let width = u128::from(floor(bucket + 1) - from);
                let inside = width * (2 * (place - before) - 1) / (2 * count);
                return Some(from + u64::try_from(inside).unwrap_or_default());
            }
            before += count;
        }
        None
    }
}

/// Where a bucket begins, in microseconds.
const fn floor(bucket: usize) -> u64 {
    if bucket == 0 {
        return 0;
    }
    let octave = FIRST_BUCKET << ((bucket - 1) / 2);
    if bucket % 2 == 1 { octave } else { octave + octave / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many calls in each of these buckets.
    fn tally(buckets: &[(usize, u64)]) -> Tally {
        let mut latency = vec![0; BUCKETS];
        for (bucket, count) in buckets {
            latency[*bucket] = *count;
        }
        Tally { calls: latency.iter().sum(), errors: 0, latency }
    }

    #[test]
    fn buckets_begin_where_the_schema_says() {
        let begin: Vec<u64> = [0, 1, 2, 3, 4, BUCKETS - 1].into_iter().map(floor).collect();
        assert_eq!(begin, [0, 64, 96, 128, 192, 1 << 28]);
    }

    #[test]
    fn a_percentile_is_in_the_bucket_of_its_call() {
        // 1 to 1.5 ms and 12 to 16 ms have these.
        let (fast, slow) = (9, 16);
        assert_eq!((floor(fast), floor(fast + 1), floor(slow), floor(slow + 1)), (1_024, 1_536, 12_288, 16_384));
        let calls = tally(&[(fast, 95), (slow, 5)]);
        let percentile = |percent| calls.percentile(percent).unwrap();
        assert!((1_024..1_536).contains(&percentile(50)), "{}", percentile(50));
        assert!(percentile(50) < percentile(90) && percentile(90) < 1_536, "{}", percentile(90));
        assert!((12_288..16_384).contains(&percentile(99)), "{}", percentile(99));
        assert_eq!(tally(&[(0, 1)]).percentile(99), Some(32));
        assert_eq!(tally(&[(BUCKETS - 1, 1)]).percentile(50), Some(1 << 28));
        assert_eq!(
            tally(&[(3, u64::MAX / 2), (4, u64::MAX / 2)]).percentile(50).map(|latency| latency < 192),
            Some(true)
        );
        assert_eq!(Tally::default().percentile(50), None);
    }

    #[test]
    fn what_came_after_is_the_difference_and_a_count_that_fell_began_anew() {
        let (before, now) = (tally(&[(3, 2)]), tally(&[(3, 5), (7, 1)]));
        let came = now.since(&before);
        assert_eq!((came.calls, came.latency[3], came.latency[7]), (4, 3, 1));
        let mut again = before.clone();
        again.add(&came);
        assert_eq!(again, now);
        assert_eq!(before.since(&now), before);
    }
}
