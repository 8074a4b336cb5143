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

/// How often a second, to three digits or so, as in `0.35`, `12.3`, `1840`.
#[must_use]
pub fn per_second(rate: f64) -> String {
    match rate {
        rate if rate < 10.0 => format!("{rate:.2}"),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

/// A part of a whole, from 0 to 1, as in `0%`, `1.2%`, `100%`. What is there is not told as nothing, nor what is missing as all.
#[must_use]
pub fn share(part: f64) -> String {
    match part * 100.0 {
        none if none <= 0.0 => "0%".to_owned(),
        little if little < 0.1 => "<0.1%".to_owned(),
        nearly if (99.95..100.0).contains(&nearly) => ">99.9%".to_owned(),
        all if all >= 100.0 => "100%".to_owned(),
        percent => format!("{percent:.1}%"),
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
    fn a_rate_has_three_digits_or_so() {
        let told: Vec<_> = [0.0, 0.346, 9.99, 12.34, 1_840.4].into_iter().map(per_second).collect();
        assert_eq!(told, ["0.00", "0.35", "9.99", "12.3", "1840"]);
    }

    #[test]
    fn a_share_is_nothing_or_all_only_if_it_is() {
        let told: Vec<_> = [0.0, 0.0001, 0.012, 0.9999, 1.0].into_iter().map(share).collect();
        assert_eq!(told, ["0%", "<0.1%", "1.2%", ">99.9%", "100%"]);
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
