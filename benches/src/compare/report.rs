//! What a comparison found, for people and for programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use super::measurement::{Measurement, Workload, json};
use super::round::{Calls, Round};
use super::stdio::Stdio;
use super::subject::Subject;
use super::targets::{TARGETS, cpu_ratio};
use crate::exchange::Call;
use crate::machine::Origin;
use crate::table::{Table, figure};
use crate::target;
use crate::values::median;

const KIBIBYTE: f64 = 1_024.0;
const MEGABYTE: f64 = 1_000_000.0;

/// What a comparison found.
#[derive(Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) origin: Origin,
    pub(super) rounds: Vec<Round>,
}

impl Report {
    /// Writes both forms to `directory`; the path of the one for people.
    pub(super) fn write(&self, directory: &Path) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(directory)?;
        let path = directory.join(format!("{}-{}.md", self.origin.machine.name, self.origin.date));
        fs::write(&path, self.to_markdown()).with_context(|| format!("cannot write {}", path.display()))?;
        fs::write(path.with_extension("json"), serde_json::to_vec_pretty(self)?)?;
        Ok(path)
    }

    /// Tables of medians over the rounds; one that nothing was measured for is left out.
    pub(super) fn to_markdown(&self) -> String {
        let calls = Measurement::workloads(&Measurement::ALL).map(|workload| (title(workload), self.calls(workload)));
        let others = [("Memory", self.memory()), ("Start and stdio", self.times()), ("Targets", self.targets())];
        let sections = calls.chain(others.map(|(title, table)| (title.to_owned(), table)));
        let mut text = self.origin.to_string();
        for (title, table) in sections.filter(|(_, table)| !table.is_empty()) {
            text.push_str(&format!("\n## {title}\n\n{table}"));
        }
        text
    }

    fn calls(&self, workload: Workload) -> Table {
        let mut table = Table::new(&[
            "through",
            "calls/s",
            "p50 µs",
            "p95 µs",
            "p99 µs",
            "p99.9 µs",
            "CPU µs/call",
            "× nginx",
            "× floor",
            "RSS MB",
            "errors",
        ]);
        for subject in Subject::ALL {
            let of = |value: fn(&Calls) -> Option<f64>| self.median(|round| value(round.calls(workload, subject)?));
            let times = |to| self.median(|round| cpu_ratio(round, workload, subject, to));
            let calls_per_second = of(|calls| Some(calls.outcome.calls_per_second));
            if calls_per_second.is_none() {
                continue;
            }
            table.row([
                subject.to_string(),
                figure(calls_per_second, 0),
                figure(of(|calls| Some(calls.outcome.latency.p50_us)), 0),
                figure(of(|calls| Some(calls.outcome.latency.p95_us)), 0),
                figure(of(|calls| Some(calls.outcome.latency.p99_us)), 0),
                figure(of(|calls| Some(calls.outcome.latency.p999_us)), 0),
                figure(of(|calls| calls.cpu_us), 1),
                figure(times(Subject::Nginx), 2),
                figure(times(Subject::Floor), 2),
                figure(of(|calls| Some(calls.resident? as f64 / MEGABYTE)), 1),
                self.errors(workload, subject).to_string(),
            ]);
        }
        table
    }

    fn memory(&self) -> Table {
        let mut table =
            Table::new(&["", "idle MB", "+ at 32 connections", "+ at 1 000", "KiB for each of 2 000 idle streams"]);
        for subject in Subject::ALL {
            let growth = |workload| self.median(|round| Some(round.growth(workload, subject)? / MEGABYTE));
            let figures = [
                self.median(|round| Some(*round.idle.get(&subject)? as f64 / MEGABYTE)),
                growth(json(32)),
                growth(json(1_000)),
                self.median(|round| Some(round.stream.get(&subject)? / KIBIBYTE)),
            ];
            if figures.iter().any(Option::is_some) {
                table.row([subject.to_string()].into_iter().chain(figures.map(|value| figure(value, 1))));
            }
        }
        table
    }

    fn times(&self) -> Table {
        let stdio = |value: fn(&Stdio) -> f64| self.median(|round| round.stdio.as_ref().map(value));
        let rows = [
            (
                "from the start of shadowcat until /health answers",
                self.median(|round| median(round.ready_ms.iter().copied())),
            ),
            ("stdio call over a bare pipe", stdio(|stdio| stdio.pipe_us / 1_000.0)),
            ("stdio call through shadowcat", stdio(|stdio| stdio.gateway_us / 1_000.0)),
        ];
        let mut table = Table::new(&["", "p50 ms"]);
        for (what, milliseconds) in rows.into_iter().filter(|(_, milliseconds)| milliseconds.is_some()) {
            table.row([what.to_owned(), figure(milliseconds, 3)]);
        }
        table
    }

    fn targets(&self) -> Table {
        target::table(TARGETS, self.rounds.as_slice())
    }

    fn errors(&self, workload: Workload, subject: Subject) -> u64 {
        self.rounds.iter().filter_map(|round| round.calls(workload, subject)).map(|calls| calls.outcome.errors).sum()
    }

    fn median(&self, value: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(value))
    }
}

fn title(workload: Workload) -> String {
    let connections = match workload.connections {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    };
    match workload.call {
        Call::Json => format!("JSON call, {connections}"),
        Call::Sse { events } => format!("SSE call of {events} events, {connections}"),
    }
}
