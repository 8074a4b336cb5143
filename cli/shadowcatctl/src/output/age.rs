//! Times as people tell them: relative to now, in the largest unit that fits.

use std::time::{SystemTime, UNIX_EPOCH};

use pbjson_types::Timestamp;

const MINUTE_SECONDS: u64 = 60;
const HOUR_SECONDS: u64 = 60 * MINUTE_SECONDS;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;

/// Below two of a unit the smaller one is shown: `90s` says more than `1m`.
const UNITS_BEFORE_THE_NEXT: u64 = 2;

/// The moment that ages count from, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now(pub i64);

impl Now {
    /// By the machine's clock.
    #[must_use]
    pub fn read() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX))
    }
}

/// How long ago `time` was, as in `5m`; `-` if it never was. A clock that goes ahead of ours is not told: that is `0s`.
#[must_use]
pub fn age(time: Option<&Timestamp>, now: Now) -> String {
    time.map_or_else(absent, |time| duration(u64::try_from(now.0.saturating_sub(time.seconds)).unwrap_or(0)))
}

/// How long until `time`, as in `6d`; `past` once it is over.
#[must_use]
pub fn in_future(time: Option<&Timestamp>, now: Now) -> String {
    time.map_or_else(absent, |time| match u64::try_from(time.seconds.saturating_sub(now.0)) {
        Ok(0) | Err(_) => "past".to_owned(),
        Ok(left) => duration(left),
    })
}

/// Seconds in the largest unit of which there are two, as in `119s`, `2m`, `47h`, `2d`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    for (unit, name) in [(DAY_SECONDS, 'd'), (HOUR_SECONDS, 'h'), (MINUTE_SECONDS, 'm')] {
        if seconds >= UNITS_BEFORE_THE_NEXT * unit {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

/// A time in full, as in `2027-01-15T08:00:00Z`.
#[must_use]
pub fn moment(time: Option<&Timestamp>) -> String {
    let time = time.and_then(|time| chrono::DateTime::from_timestamp(time.seconds, 0));
    time.map_or_else(absent, |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A time to the millisecond, as `--since` reads it.
#[must_use]
pub fn instant(time: Option<&Timestamp>) -> String {
    let nanos = |time: &Timestamp| u32::try_from(time.nanos).unwrap_or(0);
    let time = time.and_then(|time| chrono::DateTime::from_timestamp(time.seconds, nanos(time)));
    time.map_or_else(absent, |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn absent() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now(1_000_000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    #[test]
    fn ages_take_the_largest_unit_of_which_there_are_two() {
        for (ago, told) in [(0, "0s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (7_200, "2h"), (172_800, "2d")] {
            assert_eq!(age(Some(&at(NOW.0 - ago)), NOW), told);
        }
        assert_eq!(age(None, NOW), "-");
    }

    #[test]
    fn a_server_whose_clock_is_ahead_is_told_as_now() {
        assert_eq!(age(Some(&at(NOW.0 + 30)), NOW), "0s");
        assert_eq!(age(Some(&at(i64::MIN)), NOW).as_bytes().last(), Some(&b'd'));
    }

    #[test]
    fn a_moment_is_told_to_the_second_and_in_universal_time() {
        assert_eq!(moment(Some(&at(1_800_000_000))), "2027-01-15T08:00:00Z");
        assert_eq!(moment(Some(&at(i64::MAX))), "-");
    }

    #[test]
    fn what_ends_is_told_by_the_time_that_is_left() {
        assert_eq!(in_future(Some(&at(NOW.0 + 600)), NOW), "10m");
        assert_eq!(in_future(Some(&at(NOW.0)), NOW), "past");
    }
}
