//! One round: every measurement, through every subject before the next.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::measurement::{Measurement, Workload};
use super::stdio::{self, Stdio};
use super::subject::{Running, Subject};
use super::{Comparison, gateway};
use crate::load::{self, Outcome, Pace, Plan, Readings};
use crate::process::Process;

/// How often each subject has its turn with a workload of up to [`FEW`] connections: the machine is a few percent faster or slower from
/// one second to the next, and what is compared there is often less.
const TURNS: u32 = 4;

/// With more connections a turn is mostly their opening and closing, and there is one.
const FEW: usize = 32;

/// Connections are open, code is in the caches and allocators have what they need well before this is over. All turns have it together.
const WARM_UP: Duration = Duration::from_secs(1);

/// Enough for a cost per stream that what a process allocates once does not show in.
const STREAMS: usize = 2_000;

/// Starts of the gateway's process in a round.
const STARTS: usize = 5;

/// What a round found.
#[derive(Serialize)]
pub(super) struct Round {
    /// Resident bytes before the first call.
    pub(super) idle: BTreeMap<Subject, u64>,
    /// Calls without pause.
    pub(super) calls: Vec<Calls>,
    /// Resident bytes of an idle stream, of client's and upstream's side together.
    pub(super) stream: BTreeMap<Subject, f64>,
    /// Milliseconds from the start of the gateway's process until `/health` answered 200, of each start.
    pub(super) ready_ms: Vec<f64>,
    /// Calls to a stdio server.
    pub(super) stdio: Option<Stdio>,
}

/// What calls through a subject came to.
#[derive(Serialize)]
pub(super) struct Calls {
    pub(super) workload: Workload,
    pub(super) subject: Subject,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    /// User and system time of the proxy for each call, in microseconds.
    pub(super) cpu_us: Option<f64>,
    /// Resident bytes of the proxy at the end, with every connection still open.
    pub(super) resident: Option<u64>,
}

impl Round {
    /// Measures.
    pub(super) fn run(comparison: &Comparison, number: usize) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(&comparison.binaries.benches);
        let (_upstream, upstream) = Process::start_server(command.arg("upstream"), directory.path())?;
        let mut round = Self {
            idle: BTreeMap::new(),
            calls: Vec::new(),
            stream: BTreeMap::new(),
            ready_ms: Vec::new(),
            stdio: None,
        };
        round.measure_calls(comparison, number, upstream)?;
        let gateway = comparison.subjects.contains(&Subject::Shadowcat);
        if comparison.measures(Measurement::Streams) {
            round.measure_streams(comparison, upstream)?;
        }
        if gateway && comparison.measures(Measurement::Ready) {
            round.measure_ready(comparison, upstream)?;
        }
        if gateway && comparison.measures(Measurement::Stdio) {
            eprintln!("  stdio");
            round.stdio = Some(stdio::measure(&comparison.binaries, comparison.measured, WARM_UP)?);
        }
        Ok(round)
    }

    /// What calls of this kind through this subject came to, if they were measured.
    pub(super) fn calls(&self, workload: Workload, subject: Subject) -> Option<&Calls> {
        self.calls.iter().find(|calls| calls.workload == workload && calls.subject == subject)
    }

    /// By how much a subject's resident bytes had grown at the end of these calls.
    pub(super) fn growth(&self, workload: Workload, subject: Subject) -> Option<f64> {
        let resident = self.calls(workload, subject)?.resident?;
        Some(resident as f64 - *self.idle.get(&subject)? as f64)
    }

    fn measure_calls(&mut self, comparison: &Comparison, number: usize, upstream: SocketAddr) -> anyhow::Result<()> {
        let mut running = Vec::new();
        for subject in &comparison.subjects {
            running.push(subject.start(upstream, &comparison.binaries)?);
        }
        for subject in &running {
            self.idle.extend(subject.usage()?.map(|usage| (subject.subject, usage.resident)));
        }
        // Who goes first changes from round to round: nobody always follows the same neighbour.
        let first = number % running.len();
        running.rotate_left(first);
        for workload in Measurement::workloads(&comparison.measurements) {
            eprintln!("  {workload}");
            let mut turns: BTreeMap<Subject, Vec<Turn>> = BTreeMap::new();
            let count = if workload.connections <= FEW { TURNS } else { 1 };
            for _ in 0..count {
                for subject in &running {
                    let turn = Turn::take(workload, subject, (WARM_UP / count, comparison.measured / count));
                    let turn = turn.with_context(|| format!("{workload} through {}", subject.subject))?;
                    turns.entry(subject.subject).or_default().push(turn);
                }
                running.rotate_left(1);
            }
            self.calls.extend(turns.into_iter().map(|(subject, turns)| Calls::of(workload, subject, &turns)));
        }
        Ok(())
    }

    /// In processes of their own: one that has served a thousand connections has memory to spare, which would hide
    /// what streams cost.
    fn measure_streams(&mut self, comparison: &Comparison, upstream: SocketAddr) -> anyhow::Result<()> {
        for subject in comparison.subjects.iter().filter(|subject| **subject != Subject::Direct) {
            eprintln!("  streams through {subject}");
            let running = subject.start(upstream, &comparison.binaries)?;
            let Readings { before, after } = load::hold_streams(running.address, STREAMS, || running.usage())
                .with_context(|| format!("streams through {subject}"))?;
            if let (Some(before), Some(after)) = (before, after) {
                let growth = after.resident as f64 - before.resident as f64;
                self.stream.insert(*subject, growth / STREAMS as f64);
            }
        }
        Ok(())
    }

    fn measure_ready(&mut self, comparison: &Comparison, upstream: SocketAddr) -> anyhow::Result<()> {
        eprintln!("  starts of shadowcat");
        for _ in 0..STARTS {
            let proxy = gateway::start(upstream, &comparison.binaries)?;
            self.ready_ms.push(proxy.ready_after.as_secs_f64() * 1_000.0);
        }
        Ok(())
    }
}

/// One turn of a subject with a workload.
struct Turn {
    outcome: Outcome,
    /// User and system time of the proxy.
    cpu: Option<Duration>,
    resident: Option<u64>,
}

impl Turn {
    fn take(workload: Workload, subject: &Running, times: (Duration, Duration)) -> anyhow::Result<Self> {
        let (warm_up, measured) = times;
        let plan = Plan {
            target: subject.address,
            connections: workload.connections,
            call: workload.call,
            pace: Pace::Closed,
            warm_up,
            measured,
        };
        let (outcome, Readings { before, after }) = load::run(&plan, || subject.usage())?;
        let cpu = before.zip(after).map(|(before, after)| after.cpu - before.cpu);
        Ok(Self { outcome, cpu, resident: after.map(|after| after.resident) })
    }
}

impl Calls {
    fn of(workload: Workload, subject: Subject, turns: &[Turn]) -> Self {
        let outcome = Outcome::joined(turns.iter().map(|turn| &turn.outcome));
        let cpu: Option<Duration> = turns.iter().map(|turn| turn.cpu).sum();
        Self {
            workload,
            subject,
            cpu_us: cpu.map(|cpu| cpu.as_secs_f64() * 1_000_000.0 / outcome.calls as f64),
            resident: turns.last().and_then(|turn| turn.resident),
            outcome,
        }
    }
}
