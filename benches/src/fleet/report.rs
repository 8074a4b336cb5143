//! What was found, for people.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::swap::Traffic;
use super::targets::TARGETS;
use super::{Findings, MEGABYTE};
use crate::load::Outcome;
use crate::machine::Origin;
use crate::table::{Table, figure};
use crate::target;
use crate::values::quantile;

/// Writes the report to `directory`; its path.
pub(super) fn write(origin: &Origin, found: &Findings, directory: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let path = directory.join(format!("{}-fleet-{}.md", origin.machine.name, origin.date));
    fs::write(&path, to_markdown(origin, found)).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Tables; one that nothing was measured for is left out.
pub(super) fn to_markdown(origin: &Origin, found: &Findings) -> String {
    let sections = [
        ("Commits", commits(found)),
        ("Restarts", restarts(found)),
        ("Calls, without swaps and with", swap(found)),
        ("Targets", target::table(TARGETS, found)),
    ];
    let mut text = origin.to_string();
    for (title, table) in sections.into_iter().filter(|(_, table)| !table.is_empty()) {
        text.push_str(&format!("\n## {title}\n\n{table}"));
    }
    text
}

fn commits(found: &Findings) -> Table {
    let mut table = Table::new(&[
        "nodes",
        "commits × nodes",
        "answer p50 ms",
        "applied p50 ms",
        "p99 ms",
        "longest ms",
        "RSS MB",
        "sent bytes",
        "unpacked bytes",
    ]);
    for commits in &found.commits {
        let applied = |share| figure(quantile(&commits.applied_ms, share), 1);
        table.row([
            commits.nodes.to_string(),
            commits.applied_ms.len().to_string(),
            figure(quantile(&commits.answered_ms, 0.50), 1),
            applied(0.50),
            applied(0.99),
            applied(1.0),
            figure(Some(commits.resident as f64 / MEGABYTE), 1),
            commits.snapshot_bytes[0].to_string(),
            commits.snapshot_bytes[1].to_string(),
        ]);
    }
    table
}

fn restarts(found: &Findings) -> Table {
    let mut table = Table::new(&["down for", "nodes", "all back after s", "pieces of snapshots", "RSS MB"]);
    for restart in &found.restarts {
        table.row([
            format!("{} s", restart.outage.as_secs()),
            restart.nodes.to_string(),
            figure(Some(restart.back_after.as_secs_f64()), 2),
            restart.chunks.to_string(),
            figure(Some(restart.resident as f64 / MEGABYTE), 1),
        ]);
    }
    table
}

fn swap(found: &Findings) -> Table {
    let mut table =
        Table::new(&["", "calls/s", "p50 µs", "p99 µs", "p99.9 µs", "longest in 2 s µs", "of all µs", "errors"]);
    let Some(swap) = &found.swap else { return table };
    let with = format!("{} swaps of {:.0} ms + {:.0} µs", swap.swaps, swap.took[0], swap.took[1]);
    for (when, traffic) in [("no swaps", &swap.without), (with.as_str(), &swap.with)] {
        let Traffic { load, probe, direct } = traffic;
        for (what, outcome) in [("load", load), ("probe", probe), ("probe past the data plane", direct)] {
            table.row([format!("{what}, {when}")].into_iter().chain(figures(outcome)));
        }
    }
    table
}

fn figures(outcome: &Outcome) -> [String; 7] {
    let latency = outcome.latency;
    [
        figure(Some(outcome.calls_per_second), 0),
        figure(Some(latency.p50_us), 0),
        figure(Some(latency.p99_us), 0),
        figure(Some(latency.p999_us), 0),
        figure(Some(outcome.longest_us()), 0),
        figure(Some(latency.max_us), 0),
        outcome.errors.to_string(),
    ]
}
