//! The load generator: N connections, each with a session of its own, each calling one call at a time and checking
//! every answer.
//!
//! All of it runs on one thread and reads HTTP itself, so that it takes as little as it can of the cores it shares
//! with what it measures; what it does take, it takes from everybody alike.

mod answer;
mod connection;
mod outcome;
mod pace;
mod session;
mod streams;
mod worker;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::exchange::Call;

pub(crate) use outcome::{Outcome, SLICE};
pub(crate) use pace::Pace;
pub(crate) use streams::hold_streams;

use worker::{Phase, Shared};

/// How long a call may take before it counts as lost: far beyond any latency worth a histogram.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How long all connections together may take to open.
const OPEN_DEADLINE: Duration = Duration::from_secs(30);

/// Calls an MCP server over Streamable HTTP and checks every answer.
///
/// The server is the reference upstream or a proxy in front of it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The server: HOST:PORT, MCP at /mcp
    #[arg(long)]
    target: SocketAddr,
    /// How many connections, each with its session
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Calls per second over all connections; without it, each connection calls again as soon as it is answered
    #[arg(long)]
    rate: Option<f64>,
    /// Ask for an SSE answer of so many progress events
    #[arg(long)]
    sse: Option<u32>,
    /// Seconds that count
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Seconds before those that count
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
}

/// What to do to a server.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The server.
    pub(crate) target: SocketAddr,
    /// Connections, each with its session.
    pub(crate) connections: usize,
    /// What each call asks for.
    pub(crate) call: Call,
    /// When calls are made.
    pub(crate) pace: Pace,
    /// How long before anything counts.
    pub(crate) warm_up: Duration,
    /// How long calls count.
    pub(crate) measured: Duration,
}

/// A reading taken as the measured time began, and one as it ended.
pub(crate) struct Readings<S> {
    /// At the beginning.
    pub(crate) before: S,
    /// At the end, with every connection still open.
    pub(crate) after: S,
}

/// The `load` command.
pub(crate) fn main(options: &Options) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        target: options.target,
        connections: options.connections,
        call: options.sse.map_or(Call::Json, |events| Call::Sse { events }),
        pace: options.rate.map_or(Pace::Closed, |calls_per_second| Pace::Open { calls_per_second }),
        warm_up: Duration::try_from_secs_f64(options.warm_up)?,
        measured: Duration::try_from_secs_f64(options.seconds)?,
    };
    raise_open_files()?;
    let (outcome, _) = run(&plan, || Ok(()))?;
    println!("{outcome}");
    Ok(if outcome.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Carries out a plan, and takes a reading at both ends of the measured time.
pub(crate) fn run<S>(
    plan: &Plan,
    mut read: impl FnMut() -> anyhow::Result<S>,
) -> anyhow::Result<(Outcome, Readings<S>)> {
    runtime()?.block_on(async {
        let shared = Arc::new(Shared::new(plan.clone()));
        let mut workers = JoinSet::new();
        for index in 0..plan.connections {
            workers.spawn(worker::work(Arc::clone(&shared), index));
        }
        if tokio::time::timeout(OPEN_DEADLINE, shared.opened.wait()).await.is_err() {
            bail!("{} connections to {} did not open within {OPEN_DEADLINE:?}", plan.connections, plan.target);
        }
        tokio::time::sleep(plan.warm_up).await;

        let before = read()?;
        let began = Instant::now();
        shared.enter(Phase::Measured);
        tokio::time::sleep(plan.measured).await;
        shared.enter(Phase::Over);
        let elapsed = began.elapsed();
        let after = read()?;

        finish(&shared, workers).await;
        Ok((shared.outcome(elapsed), Readings { before, after }))
    })
}

/// Lets every worker end its last call; a call that does not end is an error.
async fn finish(shared: &Shared, mut workers: JoinSet<()>) {
    let all_ended = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(CALL_DEADLINE, all_ended).await.is_err() {
        for _ in 0..workers.len() {
            shared.note_error(format!("no answer within {CALL_DEADLINE:?}"));
        }
    }
}

/// Lets this process and those it starts hold as many sockets as the system grants.
pub(crate) fn raise_open_files() -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the soft limit of open files to the hard one")
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests;
