//! Recorded traffic on its way into the control plane, and what is asked of it there.
//!
//! The shipped control plane stores what nodes ship that are simulated in this process on the real protocol, as fast as it
//! takes it: once with SQLite, once with Postgres, with objects in a directory both times. Nothing here knows the inside of
//! the control plane; what nodes record is written with the crate that real nodes write it with.

mod database;
mod queries;
mod report;
mod shipping;
mod targets;
mod traffic;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;
use futures_util::future::try_join_all;
use tokio::runtime::Runtime;

use crate::machine::Origin;
use crate::plane::join::Member;
use crate::plane::{Admin, Plane};
use crate::process;
use crate::target;
use crate::usage::Usage;
use database::{Database, Place};
use queries::Asked;
use shipping::{Goal, Shipper};
use targets::TARGETS;
use traffic::Recorder;

/// Nodes that ship at the same time. More make no difference to a control plane that one of them can keep busy.
const NODES: usize = 4;

/// Frames at which questions are asked first: what their target is set on.
const MANY: u64 = 1_000_000;

/// How the figures are to be read.
const REMARK: &str = "control plane, database, nodes and what they record on the same cores; one run";

/// Ships recorded traffic to a real control plane, asks for some of it, and prints the tables
///
/// A run with both databases to the full number of frames is written to benches/results/.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fails if a target is missed
    #[arg(long, conflicts_with_all = ["only", "frames"])]
    check: bool,
    /// Only with these
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Database>,
    /// Frames at which questions are asked last
    #[arg(long, default_value_t = 10 * MANY, value_parser = clap::value_parser!(u64).range(1..))]
    frames: u64,
}

/// What was found with one database.
struct Found {
    database: Database,
    /// What was shipped at once, from the first segment to the last.
    runs: Vec<Run>,
    asked: Vec<Asked>,
    /// Bytes of the index for each frame.
    index_bytes: f64,
    /// Bytes of objects for each frame.
    object_bytes: f64,
    /// Bytes of what nodes record for each frame, before compression.
    plain_bytes: f64,
}

/// So many frames, shipped as fast as they were taken.
struct Run {
    frames: u64,
    seconds: f64,
    /// Frames a second of the slowest minute; none of what was over sooner.
    slowest: Option<f64>,
    /// CPU of the control plane for each frame, in microseconds. That of Postgres is not in it.
    cpu_us: f64,
    /// Resident bytes of the control plane at the end.
    resident: u64,
}

/// The `ingest` command.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    process::build(&[("shadowcat-control-plane", "shadowcat-control-plane")])?;
    let origin = Origin::read(vec![REMARK.to_owned()])?;
    let databases = if options.only.is_empty() { Database::value_variants() } else { &options.only };
    let runtime = Runtime::new()?;
    let found = databases
        .iter()
        .map(|database| runtime.block_on(measure(*database, options.frames)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    println!("{}", report::to_markdown(&origin, &found));
    if options.only.is_empty() && options.frames >= 10 * MANY {
        let written = report::write(&origin, &found, &Path::new(env!("CARGO_MANIFEST_DIR")).join("results"))?;
        eprintln!("written to {}", written.display());
    }
    Ok(if options.check && !target::all_met(TARGETS, &found) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(database: Database, frames: u64) -> anyhow::Result<Found> {
    let benches = std::env::current_exe().context("cannot tell where this program is")?;
    let place = Place::new(database).await?;
    let plane = Plane::start(benches.with_file_name("shadowcat-control-plane"), place.url())?;
    let admin = plane.admin()?;
    let token = admin.join_token(NODES).await?;
    let joined = (1..=NODES).map(|number| shipper(&plane, &token, number));
    let mut shippers = try_join_all(joined).await?;
    let mut found =
        Found { database, runs: Vec::new(), asked: Vec::new(), index_bytes: 0.0, object_bytes: 0.0, plain_bytes: 0.0 };
    let mut stored = 0;
    for goal in [MANY.min(frames), frames] {
        if goal > stored {
            eprintln!("  {database}: to {goal} frames");
            let run = ship(&plane, &mut shippers, goal - stored).await?;
            stored += run.frames;
            found.runs.push(run);
            found.asked.extend(ask(&admin, &shippers, stored).await?);
        }
    }
    let recorded: u64 = shippers.iter().map(Shipper::plain_bytes).sum();
    let each = |bytes: u64| bytes as f64 / stored as f64;
    found.plain_bytes = each(recorded);
    found.object_bytes = each(database::object_bytes(plane.files())?);
    found.index_bytes = each(place.index_bytes(plane.files()).await?);
    Ok(found)
}

async fn shipper(plane: &Plane, token: &str, number: usize) -> anyhow::Result<Shipper> {
    let node = format!("node-{number}");
    let member = Member::join(plane.address, token, node.clone()).await?;
    Ok(Shipper::new(member, Recorder::new(node, number as u64)))
}

/// Ships so many frames, a part of a segment more at most, and waits until all of them are stored.
async fn ship(plane: &Plane, shippers: &mut [Shipper], frames: u64) -> anyhow::Result<Run> {
    let before = plane.usage()?;
    let goal = Goal::new(frames);
    try_join_all(shippers.iter_mut().map(|shipper| shipper.ship(&goal))).await?;
    let stored = goal.stored();
    let Usage { cpu, resident } = plane.usage()?;
    let cpu = cpu.saturating_sub(before.cpu);
    let (frames, seconds) = (stored.frames(), stored.seconds());
    ensure!(frames > 0, "nothing was stored");
    Ok(Run {
        frames,
        seconds,
        slowest: stored.slowest_minute(),
        cpu_us: cpu.as_secs_f64() * 1e6 / frames as f64,
        resident,
    })
}

async fn ask(admin: &Admin, shippers: &[Shipper], frames: u64) -> anyhow::Result<Vec<Asked>> {
    let examples: Vec<_> = shippers.iter().flat_map(Shipper::examples).cloned().collect();
    queries::ask(admin, &examples, frames).await
}
