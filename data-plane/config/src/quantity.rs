//! Sizes and rates as a person writes them: `512Mi`, `600/min`.

use std::num::NonZeroU32;
use std::time::Duration;

/// Units of size, with their bytes: powers of 1024, as Kubernetes writes them. `M` and `MB` are left out: half of
/// their readers take them for something else.
const SIZES: [(&str, u64); 4] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40)];

/// The times that a rate may be over.
const PERIODS: [(&str, Duration); 3] =
    [("s", Duration::from_secs(1)), ("min", Duration::from_mins(1)), ("h", Duration::from_hours(1))];

/// How to write a size.
pub(crate) const SIZE_FORM: &str = "write a whole number above 0 and Ki, Mi, Gi or Ti, as in 512Mi";

/// How to write a rate.
pub(crate) const RATE_FORM: &str = "write a whole number above 0 and /s, /min or /h, as in 600/min";

/// Reads `<whole number><unit>` as bytes.
pub(crate) fn size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let (_, bytes) = SIZES.into_iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(bytes).filter(|bytes| *bytes > 0)
}

/// Reads `<whole number>/<period>`: how many, and in what time.
pub(crate) fn rate(text: &str) -> Option<(NonZeroU32, Duration)> {
    let (number, period) = text.split_once('/')?;
    let (_, period) = PERIODS.into_iter().find(|(name, _)| *name == period)?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| digits)?;
    Some((number, period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_of_binary_units() {
        assert_eq!((size("1Ki"), size("512Mi"), size("10Gi")), (Some(1024), Some(512 << 20), Some(10 << 30)));
        for text in ["", "5", "Mi", "0Mi", "1.5Gi", "5 Mi", "5MB", "5mi", "-5Mi", "+5Mi", "99999999999Ti"] {
            assert_eq!(size(text), None, "{text:?}");
        }
    }

    #[test]
    fn rates_are_whole_numbers_over_a_time() {
        assert_eq!(rate("600/min"), NonZeroU32::new(600).map(|count| (count, Duration::from_mins(1))));
        for text in ["", "5", "/s", "0/s", "1.5/s", "5/m", "5 /s", "5/10s", "-5/s", "+5/s", "4294967296/s"] {
            assert_eq!(rate(text), None, "{text:?}");
        }
    }
}
