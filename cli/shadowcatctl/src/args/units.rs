//! Times and sizes on the command line: `250ms`, `2s`, `1h`, `10Ki`, as the configuration writes them, and moments.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use pbjson_types::Timestamp;

/// Units of time, with their milliseconds. A day is 24 hours: only how long ago something was is told in days.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of size, with their bytes. `M` and `MB` are left out: half of their readers take them for something else.
const SIZES: [(&str, u64); 4] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40)];

/// A moment, or how long before now it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As in `1h`.
    Ago(Duration),
    /// As in `2027-01-15T08:00:00Z`.
    At(DateTime<Utc>),
}

impl When {
    /// The moment that is meant at `now`.
    #[must_use]
    pub fn from(self, now: SystemTime) -> Timestamp {
        let moment = match self {
            Self::At(moment) => moment,
            Self::Ago(ago) => DateTime::from(now.checked_sub(ago).unwrap_or(UNIX_EPOCH).max(UNIX_EPOCH)),
        };
        let nanos = i32::try_from(moment.timestamp_subsec_nanos()).unwrap_or(0);
        Timestamp { seconds: moment.timestamp(), nanos }
    }
}

impl FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ago) = time(text) {
            return Ok(Self::Ago(ago));
        }
        let moment = DateTime::parse_from_rfc3339(text);
        let moment = moment
            .map_err(|_| "give how long ago, as in 90s, 15m, 1h or 7d, or a moment, as in 2027-01-15T08:00:00Z")?;
        Ok(Self::At(moment.with_timezone(&Utc)))
    }
}

/// A moment as `--since` reads it; nothing for one that no calendar has.
#[must_use]
pub fn written(moment: &Timestamp) -> Option<String> {
    let moment = DateTime::from_timestamp(moment.seconds, u32::try_from(moment.nanos).ok()?)?;
    Some(moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// `<whole number><unit>` as a time.
pub(super) fn time(text: &str) -> Result<Duration, &'static str> {
    let milliseconds = number_of(text, &TIMES).ok_or("give a whole number and a unit, as in 250ms, 2s, 5m or 1h")?;
    Ok(Duration::from_millis(milliseconds))
}

/// `<whole number><unit>` as bytes.
pub(super) fn size(text: &str) -> Result<u64, &'static str> {
    number_of(text, &SIZES).ok_or("give a whole number and Ki, Mi, Gi or Ti, as in 10Ki")
}

fn number_of(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|character: char| !character.is_ascii_digit())?);
    let (_, worth) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*worth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_whole_numbers_with_a_unit() {
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(time("7d"), Ok(Duration::from_hours(168)));
        assert_eq!((size("10Ki"), size("1Ti")), (Ok(10_240), Ok(1 << 40)));
        for text in ["", "5", "s", "-5s", "1.5s", "5 s", "1h30m", "99999999999999999999s", "18446744073709551615h"] {
            time(text).expect_err(text);
        }
        for text in ["", "5", "Ki", "5KB", "-5Ki", "99999999999Ti"] {
            size(text).expect_err(text);
        }
    }

    #[test]
    fn a_moment_is_told_outright_or_by_how_long_ago_it_was() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = |text: &str| text.parse::<When>().expect(text).from(now);
        assert_eq!(at("1h"), Timestamp { seconds: 1_799_996_400, nanos: 0 });
        assert_eq!(at("2027-01-15T09:00:00.5+01:00"), Timestamp { seconds: 1_800_000_000, nanos: 500_000_000 });
        assert_eq!(written(&at("2027-01-15T09:00:00.5+01:00")).as_deref(), Some("2027-01-15T08:00:00.500Z"));
        assert_eq!(at("99999999d").seconds, 0, "before 1970 nothing was recorded");
        for text in ["", "yesterday", "2027-01-15", "5"] {
            let told = text.parse::<When>().expect_err(text);
            assert!(told.contains("1h"), "{told}");
        }
    }
}
