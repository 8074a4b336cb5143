//! What calls through a real data plane feel of a configuration that is replaced as a whole.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval};

use super::content::swapped;
use crate::exchange::Call;
use crate::load::{self, Outcome, Pace, Plan, SLICE};
use crate::plane::{Admin, Plane};
use crate::process::{Process, free_address, get, is_ok};

/// Calls count for this long, without swaps and then with.
const MEASURED: Duration = Duration::from_secs(20);

/// Between two swaps: one in each part of the time of which the longest call is told.
const EVERY: Duration = SLICE;

/// Connections are open and every thread has run well before this is over.
const WARM_UP: Duration = Duration::from_secs(2);

/// Connections of the load, each with its session.
const CONNECTIONS: usize = 32;

/// Calls a second of the load: a fraction of what two cores bear, so that waiting is not for other calls.
const CALLS_PER_SECOND: f64 = 2_000.0;

/// Calls a second of a probe, on one connection: a stall of 2 ms is in the way of two of them.
const PROBES_PER_SECOND: f64 = 1_000.0;

/// What swaps came to.
pub(super) struct Swap {
    /// While nothing is swapped.
    pub(super) without: Traffic,
    /// While upstreams are swapped.
    pub(super) with: Traffic,
    /// Versions that were put to use meanwhile.
    pub(super) swaps: u64,
    /// What the data plane says a version took: to build, in milliseconds, and to put to use, in microseconds.
    pub(super) took: [f64; 2],
}

/// What calls came to that went on at the same time.
pub(super) struct Traffic {
    /// Of many clients.
    pub(super) load: Outcome,
    /// One call after the other.
    pub(super) probe: Outcome,
    /// The same past the data plane, straight to the upstream: how much this machine stalls by itself.
    pub(super) direct: Outcome,
}

/// A data plane in front of the reference upstream, under a control plane.
struct Subject {
    gateway: SocketAddr,
    operations: SocketAddr,
    upstream: SocketAddr,
    // Before the upstream's: what calls ends before what is called.
    _data_plane: Process,
    _upstream: Process,
}

impl Swap {
    /// Measures without swaps and with.
    pub(super) fn measure(plane: &Plane, admin: &Admin, runtime: &Runtime, data_plane: &Path) -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        let mut upstream = Command::new(std::env::current_exe()?);
        let (upstream_process, upstream) = Process::start_server(upstream.arg("upstream"), files.path())?;
        let first = runtime.block_on(admin.apply(swapped(upstream, 0)))?;
        let token = runtime.block_on(admin.join_token(1))?;
        let subject = Subject::start(plane, &token, data_plane, files.path(), (upstream_process, upstream))?;

        let without = subject.traffic(|| Ok(()))?;
        let mut last = first;
        let with = subject.traffic(|| {
            last = runtime.block_on(swap(admin, upstream))?;
            Ok(())
        })?;
        let metrics = get(subject.operations, "/metrics")?;
        let runs = metric(&metrics, "shadowcat_config_version").context("the data plane tells no version")?;
        ensure!(runs as u64 == last, "the data plane runs version {runs}, and {last} is current");
        let mean = |name: &str| {
            let [sum, count] = ["sum", "count"].map(|of| metric(&metrics, &format!("shadowcat_config_{name}_{of}")));
            Some(sum? / count?)
        };
        let build_s = mean("prepare_duration_seconds").context("the data plane does not tell how long it built")?;
        let apply_s = mean("apply_duration_seconds").context("the data plane does not tell how long it swapped")?;
        Ok(Self { without, with, swaps: last - first, took: [build_s * 1e3, apply_s * 1e6] })
    }
}

impl Subject {
    fn start(
        plane: &Plane,
        token: &str,
        program: &Path,
        files: &Path,
        (upstream_process, upstream): (Process, SocketAddr),
    ) -> anyhow::Result<Self> {
        let (gateway, operations) = (free_address()?, free_address()?);
        let mut command = Command::new(program);
        command.args(["--bind", &gateway.to_string(), "--ops-bind", &operations.to_string()]);
        command.args(["--control-plane", &format!("https://{}", plane.address), "--join-token", token]);
        command.arg("--data-dir").arg(files.join("node")).stdout(Stdio::null());
        let mut process = Process::start(&mut command, files)?;
        process.wait_until(|| is_ok(gateway, "/health/ready").unwrap_or(false)).context("the data plane")?;
        Ok(Self { gateway, operations, upstream, _data_plane: process, _upstream: upstream_process })
    }

    /// Calls from threads of their own, while this one does something else from the moment they count.
    fn traffic(&self, meanwhile: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Traffic> {
        let many = |target| plan(target, CONNECTIONS, CALLS_PER_SECOND);
        let one = |target| plan(target, 1, PROBES_PER_SECOND);
        let plans = [many(self.gateway), one(self.gateway), one(self.upstream)];
        thread::scope(|threads| {
            let (begun, begins) = std::sync::mpsc::sync_channel(2 * plans.len());
            let running = plans.map(|plan| {
                let begun = begun.clone();
                threads.spawn(move || load::run(&plan, || Ok(begun.send(())?)).map(|(outcome, _)| outcome))
            });
            drop(begun);
            // The first to count is the one to go by: all were started together. One that failed says so below.
            let counting = begins.recv();
            let done = if counting.is_ok() { meanwhile() } else { Ok(()) };
            let [load, probe, direct] =
                running.map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a load generator panicked"))?);
            done?;
            Ok(Traffic { load: load?, probe: probe?, direct: direct? })
        })
    }
}

fn plan(target: SocketAddr, connections: usize, calls_per_second: f64) -> Plan {
    let pace = Pace::Open { calls_per_second };
    Plan { target, connections, call: Call::Json, pace, warm_up: WARM_UP, measured: MEASURED }
}

/// Swaps until the time is over; the number of the last version.
async fn swap(admin: &Admin, upstream: SocketAddr) -> anyhow::Result<u64> {
    let swaps = MEASURED.as_secs() / EVERY.as_secs();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = 0;
    for generation in 1..=usize::try_from(swaps)? {
        ticks.tick().await;
        last = admin.apply(swapped(upstream, generation)).await?;
    }
    // The last one gets as long as the others.
    ticks.tick().await;
    Ok(last)
}

/// The value of a metric without regard to its labels.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        rest.rsplit_once(' ')?.1.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name_whatever_its_labels() {
        let text = "# TYPE a gauge\na_version_live 2\na_version{epoch=\"x y\"} 17\n";
        assert_eq!(metric(text, "a_version"), Some(17.0));
        assert_eq!(metric(text, "a_version_live"), Some(2.0));
        assert_eq!(metric(text, "a"), None);
    }
}
