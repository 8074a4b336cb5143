//! Limits on what a measurement may find, and the table that says whether they are kept.

use std::fmt;

use crate::table::{Table, figure};

/// What may be found at most, or must be at least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// A limit on what is found.
pub(crate) struct Target<Found: ?Sized> {
    /// What is limited.
    pub(crate) what: &'static str,
    pub(crate) limit: Limit,
    /// What the limit counts.
    pub(crate) unit: &'static str,
    /// What is held against the limit; nothing if it was not measured.
    pub(crate) measure: fn(&Found) -> Option<f64>,
}

impl Limit {
    /// Whether a value keeps it. One that is no number keeps none.
    pub(crate) fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, limit) = match self {
            Self::AtMost(limit) => ('≤', limit),
            Self::AtLeast(limit) => ('≥', limit),
        };
        write!(f, "{sign} {}", figure(Some(*limit), 2))
    }
}

/// Whether every target was measured, and met.
pub(crate) fn all_met<Found: ?Sized>(targets: &[Target<Found>], found: &Found) -> bool {
    targets.iter().all(|target| (target.measure)(found).is_some_and(|value| target.limit.is_met_by(value)))
}

/// What was found of each, and the verdict.
pub(crate) fn table<Found: ?Sized>(targets: &[Target<Found>], found: &Found) -> Table {
    let mut table = Table::new(&["target", "found", "limit", "of", "verdict"]);
    for target in targets {
        let value = (target.measure)(found);
        let verdict = match value {
            Some(value) if target.limit.is_met_by(value) => "met",
            Some(_) => "MISSED",
            None => "not measured",
        };
        table.row([
            target.what.to_owned(),
            figure(value, 2),
            target.limit.to_string(),
            target.unit.to_owned(),
            verdict.to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Target<Option<f64>> =
        Target { what: "few", limit: Limit::AtMost(2.0), unit: "", measure: |found| *found };
    const MANY: Target<Option<f64>> =
        Target { what: "many", limit: Limit::AtLeast(2.0), unit: "", measure: |found| *found };

    #[test]
    fn a_limit_is_kept_on_its_side() {
        let met = |found| [FEW, MANY].map(|target| all_met(&[target], &Some(found)));
        assert_eq!([1.0, 2.0, 3.0].map(met), [[true, false], [true, true], [false, true]]);
        assert!(table(&[MANY], &Some(1.0)).to_string().contains("| ≥ 2.00 |"));
    }

    #[test]
    fn what_was_not_measured_or_is_no_number_meets_no_target() {
        assert_eq!([None, Some(f64::NAN)].map(|found| all_met(&[FEW], &found) || all_met(&[MANY], &found)), [false; 2]);
    }
}
