//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Distinct reasons that are kept; further ones are counted as [`OTHER`].
const MOST_REASONS: usize = 8;

/// The reason of errors whose own was not kept.
const OTHER: &str = "other reasons";

/// Three digits are what a machine of this kind repeats.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The longest latency that is told from longer ones, in nanoseconds: six times what a call may take before it is lost.
const LONGEST: u64 = 60_000_000_000;

/// The longest call is told of every such part of the measured time: of a stall that comes again and again, an accident of the machine
/// is told by that.
pub(crate) const SLICE: Duration = Duration::from_secs(2);

/// What the workers write while they run.
#[derive(Debug, Clone)]
pub(super) struct Record {
    nanoseconds: Histogram<u64>,
    /// Of each [`SLICE`].
    longest: Vec<Duration>,
    errors: BTreeMap<String, u64>,
}

impl Default for Record {
    fn default() -> Self {
        let nanoseconds = Histogram::new_with_max(LONGEST, SIGNIFICANT_DIGITS)
            .expect("the bounds of a histogram are constants within its own");
        Self { nanoseconds, longest: Vec::new(), errors: BTreeMap::new() }
    }
}

impl Record {
    /// A call that ended `at` this time after the measured part began.
    pub(super) fn call(&mut self, took: Duration, at: Duration) {
        let slice = (at.as_nanos() / SLICE.as_nanos()) as usize;
        self.longest.resize(self.longest.len().max(slice + 1), Duration::ZERO);
        self.longest[slice] = self.longest[slice].max(took);
        self.nanoseconds.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn error(&mut self, reason: String) {
        self.errors(reason, 1);
    }

    fn errors(&mut self, reason: String, count: u64) {
        let full = self.errors.len() >= MOST_REASONS && !self.errors.contains_key(&reason);
        *self.errors.entry(if full { OTHER.to_owned() } else { reason }).or_default() += count;
    }

    fn add(&mut self, other: &Self) {
        self.nanoseconds.add(&other.nanoseconds).expect("all histograms here have the same bounds");
        self.longest.extend_from_slice(&other.longest);
        for (reason, count) in &other.errors {
            self.errors(reason.clone(), *count);
        }
    }

    pub(super) fn outcome(&self, elapsed: Duration) -> Outcome {
        Outcome {
            record: self.clone(),
            elapsed,
            calls: self.nanoseconds.len(),
            calls_per_second: self.nanoseconds.len() as f64 / elapsed.as_secs_f64(),
            latency: Latency {
                p50_us: self.microseconds_at(0.50),
                p95_us: self.microseconds_at(0.95),
                p99_us: self.microseconds_at(0.99),
                p999_us: self.microseconds_at(0.999),
                max_us: self.microseconds_at(1.0),
            },
            longest: self.longest.clone(),
            errors: self.errors.values().sum(),
            reasons: self.errors.clone(),
        }
    }

    fn microseconds_at(&self, quantile: f64) -> f64 {
        self.nanoseconds.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    /// What it is made of.
    #[serde(skip)]
    record: Record,
    #[serde(skip)]
    elapsed: Duration,
    /// Calls that were answered, and answered right, within the measured time.
    pub(crate) calls: u64,
    /// Of those.
    pub(crate) calls_per_second: f64,
    /// Of those.
    pub(crate) latency: Latency,
    /// Of the calls that ended in each [`SLICE`], the longest.
    #[serde(skip)]
    pub(crate) longest: Vec<Duration>,
    /// Everything that went wrong from the first connection to the last `DELETE`.
    pub(crate) errors: u64,
    /// The errors by reason.
    pub(crate) reasons: BTreeMap<String, u64>,
}

/// Quantiles of latency, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Latency {
    /// The median.
    pub(crate) p50_us: f64,
    /// One call in 20 took longer.
    pub(crate) p95_us: f64,
    /// One call in 100 took longer.
    pub(crate) p99_us: f64,
    /// One call in 1 000 took longer.
    pub(crate) p999_us: f64,
    /// The longest.
    pub(crate) max_us: f64,
}

impl Outcome {
    /// What several runs of one plan came to, as if they had been one.
    pub(crate) fn joined<'a>(outcomes: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut all, mut elapsed) = (Record::default(), Duration::ZERO);
        for outcome in outcomes {
            all.add(&outcome.record);
            elapsed += outcome.elapsed;
        }
        all.outcome(elapsed)
    }

    /// The longest call of a [`SLICE`], in microseconds: the median of all of them. What stalls calls in each of them is in it, and what
    /// happened to the machine in a few is not.
    pub(crate) fn longest_us(&self) -> f64 {
        let mut longest = self.longest.clone();
        longest.sort_unstable();
        longest.get(longest.len() / 2).map_or(0.0, |longest| longest.as_secs_f64() * 1e6)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { p50_us, p95_us, p99_us, p999_us, max_us } = self.latency;
        writeln!(f, "{} calls, {:.0} a second, {} errors", self.calls, self.calls_per_second, self.errors)?;
        write!(
            f,
            "p50 {p50_us:.0} µs   p95 {p95_us:.0} µs   p99 {p99_us:.0} µs   p99.9 {p999_us:.0} µs   max {max_us:.0} µs"
        )?;
        self.reasons.iter().try_for_each(|(reason, count)| write!(f, "\n{count} × {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_microseconds_and_calls_beyond_the_longest_are_kept_as_that() {
        let mut record = Record::default();
        record.call(Duration::from_micros(250), Duration::ZERO);
        record.call(Duration::from_micros(250), SLICE - Duration::from_nanos(1));
        record.call(Duration::from_hours(1), 2 * SLICE);
        let Outcome { calls, calls_per_second, latency, longest, .. } = record.outcome(Duration::from_secs(3));
        assert_eq!(longest, [Duration::from_micros(250), Duration::ZERO, Duration::from_hours(1)]);
        assert_eq!((calls, calls_per_second), (3, 1.0));
        assert!((249.0..251.0).contains(&latency.p50_us), "{latency:?}");
        assert!((59e6..61e6).contains(&latency.p999_us), "{latency:?}");
    }

    #[test]
    fn runs_that_are_joined_are_one_run() {
        let second = Duration::from_secs(1);
        let runs = [1, 3].map(|milliseconds| {
            let mut record = Record::default();
            record.call(Duration::from_millis(milliseconds), Duration::ZERO);
            record.call(Duration::from_millis(milliseconds), Duration::ZERO);
            record.error("lost".to_owned());
            record.outcome(second)
        });
        let joined = Outcome::joined(&runs);
        assert_eq!((joined.calls, joined.calls_per_second, joined.errors), (4, 2.0, 2));
        assert!(joined.latency.p50_us < 1_010.0 && joined.latency.p95_us > 2_990.0, "{joined}");
        assert_eq!(joined.longest.len(), 2);
    }

    #[test]
    fn reasons_beyond_the_bound_are_counted_together() {
        let mut record = Record::default();
        (0..2 * MOST_REASONS).for_each(|reason| record.error(reason.to_string()));
        let outcome = record.outcome(Duration::from_secs(1));
        assert_eq!(outcome.errors, 2 * MOST_REASONS as u64);
        assert_eq!(outcome.reasons.get(OTHER), Some(&(MOST_REASONS as u64)));
    }
}
