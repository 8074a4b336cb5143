//! Numbers with their units.

use super::duration;

const MILLISECOND_MICROSECONDS: u64 = 1_000;
const SECOND_MICROSECONDS: u64 = 1_000_000;

/// From here on nobody asks for parts of a second.
const WHOLE_SECONDS_FROM: u64 = 60;

/// Units of size, the largest first.
const SIZES: [(u64, &str); 4] = [(1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];

/// `1 node`, `2 nodes`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Microseconds to three digits or so, as in `812µs`, `12.3ms`, `2.41s`, `2m`.
#[must_use]
pub fn latency(microseconds: u64) -> String {
    let seconds = microseconds / SECOND_MICROSECONDS;
    if microseconds < MILLISECOND_MICROSECONDS {
        format!("{microseconds}µs")
    } else if seconds == 0 {
        let tenths = microseconds / (MILLISECOND_MICROSECONDS / 10);
        format!("{}.{}ms", tenths / 10, tenths % 10)
    } else if seconds < WHOLE_SECONDS_FROM {
        let hundredths = microseconds / (SECOND_MICROSECONDS / 100);
        format!("{}.{:02}s", hundredths / 100, hundredths % 100)
    } else {
        duration(seconds)
    }
}

/// Bytes to one digit after the point, as in `412`, `1.2Ki`, `3.0Mi`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let Some((unit, name)) = SIZES.into_iter().find(|(unit, _)| bytes >= *unit) else { return bytes.to_string() };
    // Tenths of a unit; what is left of a Ti fits ten times over.
    let tenths = (bytes % unit) * 10 / unit;
    format!("{}.{tenths}{name}", bytes / unit)
}

/// A size in running text, where a bare number would say nothing.
#[must_use]
pub fn bytes(number: u64) -> String {
    if number < SIZES[SIZES.len() - 1].0 { count(number, "byte") } else { size(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_has_the_unit_that_fits_it() {
        for (microseconds, told) in [
            (0, "0µs"),
            (999, "999µs"),
            (12_345, "12.3ms"),
            (2_415_000, "2.41s"),
            (60_000_000, "60s"),
            (7_200_000_000, "2h"),
        ] {
            assert_eq!(latency(microseconds), told);
        }
    }

    #[test]
    fn a_size_has_the_unit_that_fits_it() {
        for (bytes, told) in [(0, "0"), (1023, "1023"), (1024, "1.0Ki"), (1 << 20, "1.0Mi"), (u64::MAX, "16777215.9Ti")]
        {
            assert_eq!(size(bytes), told);
        }
        assert_eq!(
            (super::bytes(1), super::bytes(412), super::bytes(2048)),
            ("1 byte".into(), "412 bytes".into(), "2.0Ki".into())
        );
    }
}
