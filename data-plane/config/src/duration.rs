//! Durations as a person writes them: a whole number and its unit, `250ms`, `30s`, `5m`, `168h`.

use std::time::Duration;

/// The units, with their milliseconds. Days are left out: an operator who reads `1d` cannot tell 24 hours from the end
/// of the day.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// What a field accepts, and what it is when absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    pub(crate) default: Duration,
}

/// Why a text is no duration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Not a whole number followed by a unit.
    Form,
    /// More than 2^64 milliseconds.
    Overflow,
}

/// Reads `<whole number><unit>`.
pub(crate) fn parse(text: &str) -> Result<Duration, Invalid> {
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or(Invalid::Form)?;
    let (number, unit) = text.split_at(split);
    let (_, milliseconds) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(Invalid::Form)?;
    if number.is_empty() {
        return Err(Invalid::Form);
    }
    let number: u64 = number.parse().map_err(|_| Invalid::Overflow)?;
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or(Invalid::Overflow)
}

/// Writes a duration in the largest unit that divides it.
pub(crate) fn print(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, size) = UNITS.into_iter().rev().find(|(_, size)| milliseconds.is_multiple_of(*size)).unwrap_or(UNITS[0]);
    format!("{}{unit}", milliseconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_printed_back() {
        for text in ["0h", "250ms", "30s", "5m", "168h", "61s", "1001ms"] {
            assert_eq!(print(parse(text).expect(text)), text);
        }
    }

    #[test]
    fn what_is_no_number_and_unit_is_refused() {
        for text in ["", "5", "s", "-5s", "1.5s", "5 s", "1h30m", "1d", "5S", "+5s", "٣s"] {
            assert_eq!(parse(text), Err(Invalid::Form), "{text:?}");
        }
        for text in ["99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(parse(text), Err(Invalid::Overflow), "{text:?}");
        }
    }
}
