//! What the control plane must take, and how soon it must find it. `ingest --check` fails if one of these is missed.
//!
//! Where the numbers come from: 20 000 frames a second are 10 000 calls a second of a fleet, all day; and an answer that comes
//! within 200 ms is there at once for whoever asked.

use super::database::Database::{self, Postgres, Sqlite};
use super::queries::Question;
use super::{Found, MANY};
use crate::target::Limit::{AtLeast, AtMost};
use crate::target::Target;
use crate::values::quantile;

/// Every target.
pub(super) const TARGETS: &[Target<[Found]>] = &[
    Target {
        what: "stored in SQLite, in the slowest minute",
        limit: AtLeast(20_000.0),
        unit: "frames/s",
        measure: |found| slowest_minute(found, Sqlite),
    },
    Target {
        what: "stored in Postgres, in the slowest minute",
        limit: AtLeast(20_000.0),
        unit: "frames/s",
        measure: |found| slowest_minute(found, Postgres),
    },
    Target {
        what: "found by tool and outcome among 1 000 000 frames in SQLite, p95",
        limit: AtMost(200.0),
        unit: "ms",
        measure: |found| found_by_tool_and_outcome(found, Sqlite),
    },
    Target {
        what: "found by tool and outcome among 1 000 000 frames in Postgres, p95",
        limit: AtMost(200.0),
        unit: "ms",
        measure: |found| found_by_tool_and_outcome(found, Postgres),
    },
];

fn of(found: &[Found], database: Database) -> Option<&Found> {
    found.iter().find(|found| found.database == database)
}

fn slowest_minute(found: &[Found], database: Database) -> Option<f64> {
    of(found, database)?.runs.iter().filter_map(|run| run.slowest).reduce(f64::min)
}

/// Asked first at so many frames.
fn found_by_tool_and_outcome(found: &[Found], database: Database) -> Option<f64> {
    let asked = &of(found, database)?.asked;
    let many = asked.iter().find(|asked| asked.question == Question::ToolAndOutcome && asked.frames >= MANY)?;
    quantile(&many.ms, 0.95)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::all_met;

    #[test]
    fn a_target_that_was_not_measured_is_not_met() {
        assert!(!all_met(TARGETS, &[]));
    }
}
