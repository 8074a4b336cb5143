//! What a fleet may cost, and how fast it is. `fleet --check` fails if one of these is missed.
//!
//! Where the numbers come from: a person who has typed `apply` takes a second for at once, a restart is over before
//! anybody is called, and a call notices no swap among what machines of this kind stall by themselves.

use super::commits::Commits;
use super::restart::Restart;
use super::swap::Swap;
use super::{Findings, LARGE, MEGABYTE, SMALL};
use crate::target::Limit::AtMost;
use crate::target::Target;
use crate::values::quantile;

/// What the control plane itself may hold, in MB.
const RESIDENT_BASE: f64 = 60.0;

/// What it may hold for each node, in MB.
const RESIDENT_PER_NODE: f64 = 0.040;

/// Every target.
pub(super) const TARGETS: &[Target<Findings>] = &[
    Target {
        what: "commit to applied, 200 nodes, p50",
        limit: AtMost(150.0),
        unit: "ms",
        measure: |found| quantile(&commits(found, SMALL)?.applied_ms, 0.50),
    },
    Target {
        what: "commit to applied, 200 nodes, p99",
        limit: AtMost(1_000.0),
        unit: "ms",
        measure: |found| quantile(&commits(found, SMALL)?.applied_ms, 0.99),
    },
    Target {
        what: "500 nodes are back after a restart",
        limit: AtMost(20.0),
        unit: "s",
        measure: |found| worst(found, |restart| restart.back_after.as_secs_f64()),
    },
    Target {
        what: "pieces of snapshots sent after a restart",
        limit: AtMost(0.0),
        unit: "",
        measure: |found| worst(found, |restart| restart.chunks as f64),
    },
    Target {
        what: "RSS of the control plane, 200 nodes",
        limit: AtMost(RESIDENT_BASE + RESIDENT_PER_NODE * SMALL as f64),
        unit: "MB",
        measure: |found| resident(found, SMALL),
    },
    Target {
        what: "RSS of the control plane, 500 nodes",
        limit: AtMost(RESIDENT_BASE + RESIDENT_PER_NODE * LARGE as f64),
        unit: "MB",
        measure: |found| resident(found, LARGE),
    },
    Target {
        what: "p99 of calls, added by swaps of 1 000 upstreams",
        limit: AtMost(2.0),
        unit: "ms",
        measure: |found| {
            found.swap.as_ref().map(|swap| (swap.with.load.latency.p99_us - swap.without.load.latency.p99_us) / 1e3)
        },
    },
    Target {
        what: "longest call from one swap to the next, added by swaps of 1 000 upstreams",
        limit: AtMost(2.0),
        unit: "ms",
        measure: |found| {
            found.swap.as_ref().map(|swap| (swap.with.probe.longest_us() - swap.without.probe.longest_us()) / 1e3)
        },
    },
    Target {
        what: "errors of calls during swaps",
        limit: AtMost(0.0),
        unit: "",
        measure: |found| found.swap.as_ref().map(errors),
    },
];

fn commits(found: &Findings, nodes: usize) -> Option<&Commits> {
    found.commits.iter().find(|commits| commits.nodes == nodes)
}

/// The most it held with so many nodes, after commits and after restarts.
fn resident(found: &Findings, nodes: usize) -> Option<f64> {
    let after_commits = commits(found, nodes)?.resident;
    let restarts = found.restarts.iter().filter(|restart| restart.nodes == nodes).map(|restart| restart.resident);
    Some(restarts.fold(after_commits, u64::max) as f64 / MEGABYTE)
}

fn worst(found: &Findings, value: impl Fn(&Restart) -> f64) -> Option<f64> {
    found.restarts.iter().map(value).reduce(f64::max)
}

fn errors(swap: &Swap) -> f64 {
    (swap.with.load.errors + swap.with.probe.errors) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::all_met;

    #[test]
    fn a_target_that_was_not_measured_is_not_met() {
        assert!(!all_met(TARGETS, &Findings::default()));
    }

    #[test]
    fn what_a_control_plane_may_hold_grows_with_its_nodes() {
        let limits: Vec<_> =
            TARGETS.iter().filter(|target| target.what.starts_with("RSS")).map(|target| target.limit).collect();
        assert_eq!(limits, [AtMost(68.0), AtMost(80.0)]);
    }
}
