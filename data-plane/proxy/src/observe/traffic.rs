//! Calls of one kind, counted so that they can be read back: what the control plane shows of the whole fleet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Outcome;

/// Buckets of latency: each reaches twice as far as the one before, the first to 64 µs, the last but one to nine minutes.
pub(crate) const BUCKETS: usize = 24;

/// Microseconds that the first bucket reaches to, as a power of two.
const FIRST_BUCKET_BITS: u32 = 6;

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    calls: AtomicU64,
    errors: AtomicU64,
    latency: [AtomicU64; BUCKETS],
}

/// Their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrafficTotals {
    /// Calls that have ended.
    pub(crate) calls: u64,
    /// Of these, those that did not end well, whoever's fault it was.
    pub(crate) errors: u64,
    /// How many took how long, by bucket.
    pub(crate) latency: Vec<u64>,
}

impl Traffic {
    pub(super) fn record(&self, outcome: Outcome, elapsed: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if outcome != Outcome::Ok {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.latency[bucket(elapsed)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> TrafficTotals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TrafficTotals {
            calls: read(&self.calls),
            errors: read(&self.errors),
            latency: self.latency.iter().map(read).collect(),
        }
    }
}

/// The first bucket that reaches beyond `elapsed`.
fn bucket(elapsed: Duration) -> usize {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let bits = (u64::BITS - micros.leading_zeros()).saturating_sub(FIRST_BUCKET_BITS);
    (bits as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_in_the_first_bucket_that_reaches_beyond_it() {
        let micros = |micros| bucket(Duration::from_micros(micros));
        assert_eq!([micros(0), micros(63), micros(64), micros(127), micros(128)], [0, 0, 1, 1, 2]);
        assert_eq!(micros(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn what_did_not_end_well_is_an_error() {
        let traffic = Traffic::default();
        for outcome in [Outcome::Ok, Outcome::ToolError, Outcome::Abandoned] {
            traffic.record(outcome, Duration::from_millis(1));
        }
        let totals = traffic.totals();
        assert_eq!((totals.calls, totals.errors, totals.latency[4]), (3, 2, 3));
    }
}
