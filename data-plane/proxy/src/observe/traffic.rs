//! Calls of one kind, counted so that they can be read back: what the control plane shows of the whole fleet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Outcome;

/// Buckets of latency: the first reaches to 64 µs, the two halves of each octave above have one each, and the last begins at 2^28 µs
/// (268 s). With halves a percentile is off by a fifth at most, where whole octaves would leave it anywhere within its double.
pub(crate) const BUCKETS: usize = 46;

/// Microseconds that the first bucket reaches to, as a power of two.
const FIRST_BUCKET_BITS: u32 = 6;

/// Kinds of calls that are told apart. With the longest names and a histogram of large numbers each takes 530 bytes, so that a message
/// of all stays below the MiB that a control plane takes. The calls of further kinds are counted together.
pub(crate) const KINDS_MAX: usize = 1536;

/// Methods whose streams stand until their client leaves: neither how long they take nor how they end says anything of a call.
const STANDING: [&str; 2] = ["GET", "subscriptions/listen"];

/// The counters.
#[derive(Debug)]
struct Traffic {
    calls: AtomicU64,
    errors: AtomicU64,
    latency: [AtomicU64; BUCKETS],
}

/// Their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TrafficTotals {
    /// Calls that have ended.
    pub(crate) calls: u64,
    /// Of these, those that did not end well, whoever's fault it was.
    pub(crate) errors: u64,
    /// How many took how long, by bucket, up to the last that has any.
    pub(crate) latency: Vec<u64>,
}

impl Traffic {
    fn new() -> Self {
        Self { calls: AtomicU64::new(0), errors: AtomicU64::new(0), latency: [const { AtomicU64::new(0) }; BUCKETS] }
    }

    fn record(&self, outcome: Outcome, elapsed: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if outcome != Outcome::Ok {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.latency[bucket(elapsed)].fetch_add(1, Ordering::Relaxed);
    }

    fn totals(&self) -> TrafficTotals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut latency: Vec<u64> = self.latency.iter().map(read).collect();
        latency.truncate(latency.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
        TrafficTotals { calls: read(&self.calls), errors: read(&self.errors), latency }
    }
}

/// The kinds of calls of one gateway that are told apart, and what all others come to. A kind that is told apart stays so as long as
/// its route is known: counters that came and went would look like calls.
#[derive(Debug)]
pub(crate) struct Kinds {
    apart: AtomicUsize,
    rest: Traffic,
}

impl Default for Kinds {
    fn default() -> Self {
        Self { apart: AtomicUsize::new(0), rest: Traffic::new() }
    }
}

impl Kinds {
    /// What the calls of those kinds came to that are not told apart.
    pub(crate) fn rest(&self) -> TrafficTotals {
        self.rest.totals()
    }
}

/// How the calls of one kind are counted.
#[derive(Debug)]
pub(super) struct Kind {
    own: Option<Box<Traffic>>,
    kinds: Option<Arc<Kinds>>,
}

impl Kind {
    /// A kind of calls by this method, told apart if there is room.
    pub(super) fn of(method: &str, kinds: &Arc<Kinds>) -> Self {
        if STANDING.contains(&method) {
            return Self { own: None, kinds: None };
        }
        let room = |apart: usize| (apart < KINDS_MAX).then_some(apart + 1);
        let apart = kinds.apart.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok();
        Self { own: apart.then(|| Box::new(Traffic::new())), kinds: Some(Arc::clone(kinds)) }
    }

    /// Counts a call that has ended.
    pub(super) fn record(&self, outcome: Outcome, elapsed: Duration) {
        match (&self.own, &self.kinds) {
            (Some(own), _) => own.record(outcome, elapsed),
            (None, Some(kinds)) => kinds.rest.record(outcome, elapsed),
            (None, None) => {}
        }
    }

    /// What its calls came to, if they are told apart and there were any.
    pub(super) fn totals(&self) -> Option<TrafficTotals> {
        self.own.as_ref().map(|own| own.totals()).filter(|totals| totals.calls > 0)
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        if let (Some(_), Some(kinds)) = (&self.own, &self.kinds) {
            kinds.apart.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The bucket that a latency belongs to.
fn bucket(elapsed: Duration) -> usize {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let Some(octave) = (micros >> FIRST_BUCKET_BITS).checked_ilog2() else { return 0 };
    let half = (micros >> (octave + FIRST_BUCKET_BITS - 1)) & 1;
    (1 + 2 * octave as usize + half as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_half_of_an_octave_has_a_bucket() {
        let micros = |micros| bucket(Duration::from_micros(micros));
        for (below, bucket) in [(64, 0), (96, 1), (128, 2), (192, 3), (256, 4), (1 << 28, 44)] {
            assert_eq!((micros(below - 1), micros(below)), (bucket, bucket + 1), "{below}");
        }
        assert_eq!((micros(0), micros(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn what_did_not_end_well_is_an_error() {
        let kinds = Arc::default();
        let kind = Kind::of("tools/call", &kinds);
        for outcome in [Outcome::Ok, Outcome::ToolError, Outcome::Abandoned] {
            kind.record(outcome, Duration::from_millis(1));
        }
        let totals = kind.totals().unwrap();
        assert_eq!((totals.calls, totals.errors, totals.latency.last()), (3, 2, Some(&3)));
    }

    #[test]
    fn a_stream_that_stands_until_its_client_leaves_is_no_call() {
        let kinds = Arc::default();
        for method in STANDING {
            let kind = Kind::of(method, &kinds);
            kind.record(Outcome::Abandoned, Duration::from_hours(1));
            assert_eq!((kind.totals(), kinds.rest().calls), (None, 0), "{method}");
        }
    }

    #[test]
    fn beyond_the_bound_of_kinds_calls_are_counted_together() {
        let kinds = Arc::default();
        let mut apart: Vec<Kind> = (0..KINDS_MAX).map(|_| Kind::of("tools/call", &kinds)).collect();
        let beyond = Kind::of("tools/call", &kinds);
        for kind in [&apart[0], &beyond] {
            kind.record(Outcome::Ok, Duration::ZERO);
        }
        assert_eq!((beyond.totals(), kinds.rest().calls), (None, 1));
        drop(apart.pop());
        let next = Kind::of("tools/call", &kinds);
        next.record(Outcome::Ok, Duration::ZERO);
        assert_eq!((next.totals().map(|totals| totals.calls), kinds.rest().calls), (Some(1), 1));
    }
}
