//! What a gateway may cost. `compare --check` fails if one of these is missed.
//!
//! Where the numbers come from: hyper's own floor is 1.2 times nginx, and what understanding a call needs is a few
//! microseconds more.

use super::measurement::{Measurement, Workload, json, sse};
use super::round::Round;
use super::subject::Subject;
use super::subject::Subject::{Direct, Floor, Nginx, Shadowcat, ShadowcatRecording, ShadowcatRedis};
use crate::target::Limit::AtMost;
use crate::target::Target;
use crate::values::median;

const KIBIBYTE: f64 = 1_024.0;
const MEGABYTE: f64 = 1_000_000.0;

/// The workload that the CPU of a JSON call is read from, and what a modest number of clients costs in memory.
const MODEST: Workload = json(32);
/// The workload that shows latency alone.
const ALONE: Workload = json(1);
/// The workload that the CPU of an SSE call is read from.
const STREAMING: Workload = sse(16);
/// The workload of many clients.
const MANY: Workload = json(1_000);

/// Every target.
pub(super) const TARGETS: &[Target<[Round]>] = &[
    Target {
        what: "CPU of a JSON call, 32 connections",
        limit: AtMost(1.6),
        unit: "× nginx",
        measure: |rounds| of_rounds(rounds, |round| cpu_ratio(round, MODEST, Shadowcat, Nginx)),
    },
    Target {
        what: "CPU of a JSON call with sessions in Redis, 32 connections",
        limit: AtMost(1.8),
        unit: "× nginx",
        measure: |rounds| of_rounds(rounds, |round| cpu_ratio(round, MODEST, ShadowcatRedis, Nginx)),
    },
    Target {
        what: "added to p50 of a JSON call, 1 connection",
        limit: AtMost(2.0),
        unit: "× nginx",
        measure: added_latency,
    },
    Target {
        what: "CPU of an SSE call of 50 events, 16 connections",
        limit: AtMost(1.0),
        unit: "× floor",
        measure: |rounds| of_rounds(rounds, |round| cpu_ratio(round, STREAMING, Shadowcat, Floor)),
    },
    Target {
        what: "errors, 1 to 1 000 connections",
        limit: AtMost(0.0),
        unit: "",
        measure: |rounds| errors(rounds, Shadowcat),
    },
    Target {
        what: "errors, 1 to 1 000 connections, sessions in Redis",
        limit: AtMost(0.0),
        unit: "",
        measure: |rounds| errors(rounds, ShadowcatRedis),
    },
    Target {
        what: "CPU of a JSON call that is recorded, 32 connections",
        limit: AtMost(1.5),
        unit: "× not recorded",
        measure: |rounds| of_rounds(rounds, |round| cpu_ratio(round, MODEST, ShadowcatRecording, Shadowcat)),
    },
    Target {
        what: "p50 of a JSON call that is recorded, 1 connection",
        limit: AtMost(1.05),
        unit: "× not recorded",
        measure: recorded_latency,
    },
    Target {
        what: "errors, 1 to 1 000 connections, recorded",
        limit: AtMost(0.0),
        unit: "",
        measure: |rounds| errors(rounds, ShadowcatRecording),
    },
    Target {
        what: "an idle SSE stream, both sides",
        limit: AtMost(35.0),
        unit: "KiB",
        measure: |rounds| of_rounds(rounds, |round| Some(round.stream.get(&Shadowcat)? / KIBIBYTE)),
    },
    Target {
        what: "idle RSS",
        limit: AtMost(25.0),
        unit: "MB",
        measure: |rounds| of_rounds(rounds, |round| Some(*round.idle.get(&Shadowcat)? as f64 / MEGABYTE)),
    },
    Target {
        what: "growth of RSS with 32 connections",
        limit: AtMost(10.0),
        unit: "MB",
        measure: |rounds| of_rounds(rounds, |round| Some(round.growth(MODEST, Shadowcat)? / MEGABYTE)),
    },
    Target {
        what: "growth of RSS with 1 000 connections",
        limit: AtMost(1.2),
        unit: "× floor",
        measure: |rounds| of_rounds(rounds, |round| Some(round.growth(MANY, Shadowcat)? / round.growth(MANY, Floor)?)),
    },
    Target {
        what: "from start to ready",
        limit: AtMost(100.0),
        unit: "ms",
        measure: |rounds| of_rounds(rounds, |round| median(round.ready_ms.iter().copied())),
    },
    Target {
        what: "added to p50 of a stdio call",
        limit: AtMost(1.0),
        unit: "ms",
        measure: |rounds| of_rounds(rounds, |round| round.stdio.as_ref()?.added_ms()),
    },
];

/// One subject's CPU for each call as a multiple of another's.
pub(super) fn cpu_ratio(round: &Round, workload: Workload, subject: Subject, to: Subject) -> Option<f64> {
    Some(round.calls(workload, subject)?.cpu_us? / round.calls(workload, to)?.cpu_us?)
}

/// The median over the rounds, all of which must have measured it: what one round finds moves with the machine.
fn of_rounds(rounds: &[Round], value: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
    median(rounds.iter().map(value).collect::<Option<Vec<_>>>()?.into_iter())
}

/// What the gateway adds to the latency of a call, as a multiple of what nginx adds.
///
/// Medians first, ratio last: the differences are so small that a single round may find nginx faster than nothing. If
/// even the medians do, the machine was too busy to tell.
fn added_latency(rounds: &[Round]) -> Option<f64> {
    let p50 = |subject| of_rounds(rounds, |round| Some(round.calls(ALONE, subject)?.outcome.latency.p50_us));
    let direct = p50(Direct)?;
    let nginx = p50(Nginx)? - direct;
    (nginx > 0.0).then_some((p50(Shadowcat)? - direct) / nginx)
}

/// The latency of a call that is recorded, as a multiple of that of one that is not. Medians first, ratio last, as above.
fn recorded_latency(rounds: &[Round]) -> Option<f64> {
    let p50 = |subject| of_rounds(rounds, |round| Some(round.calls(ALONE, subject)?.outcome.latency.p50_us));
    Some(p50(ShadowcatRecording)? / p50(Shadowcat)?)
}

/// Of all calls in all rounds: an error is one whatever the machine does.
fn errors(rounds: &[Round], subject: Subject) -> Option<f64> {
    let of_round = |round: &Round| -> Option<u64> {
        Measurement::workloads(&Measurement::ALL)
            .map(|workload| Some(round.calls(workload, subject)?.outcome.errors))
            .sum()
    };
    let errors: u64 = rounds.iter().map(of_round).sum::<Option<_>>()?;
    (!rounds.is_empty()).then_some(errors as f64)
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
