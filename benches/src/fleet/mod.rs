//! A fleet: the shipped control plane under nodes that are simulated in this process on the real protocol, and a shipped
//! data plane under load.
//!
//! Nothing here knows the inside of either program: nodes and operators are written against the schema alone. Everything
//! runs on one machine, nodes included, so that what is found for the control plane has the nodes' own work in it.

mod commits;
mod content;
mod crowd;
mod node;
mod report;
mod restart;
mod swap;
mod targets;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use tokio::runtime::Runtime;

use crate::load;
use crate::machine::Origin;
use crate::plane::{Admin, Plane};
use crate::process;
use crate::target;
use commits::Commits;
use crowd::Crowd;
use node::What;
use restart::{OUTAGES, Restart};
use swap::Swap;
use targets::TARGETS;

/// Nodes that a commit's way is measured with.
const SMALL: usize = 200;

/// Nodes that a restart is measured with.
const LARGE: usize = 500;

const MEGABYTE: f64 = 1_000_000.0;

/// How the figures are to be read.
const REMARK: &str = "control plane on SQLite, nodes, load generator and upstream on the same cores; one run";

/// Runs a fleet of simulated nodes under a real control plane, and prints the tables
///
/// A run over everything is written to benches/results/.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fails if a target is missed
    #[arg(long)]
    check: bool,
    /// Only these
    #[arg(long, value_delimiter = ',', value_enum, conflicts_with = "check")]
    only: Vec<Part>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From a commit to the nodes that run it
    Commits,
    /// From a restart of the control plane to its nodes
    Restarts,
    /// What calls feel of a configuration that is replaced
    Swap,
}

/// What was found.
#[derive(Default)]
struct Findings {
    commits: Vec<Commits>,
    restarts: Vec<Restart>,
    swap: Option<Swap>,
}

/// The `fleet` command.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    load::raise_open_files()?;
    process::build(&[
        ("shadowcat-control-plane", "shadowcat-control-plane"),
        ("shadowcat-proxy", "shadowcat-data-plane"),
    ])?;
    let origin = Origin::read(vec![REMARK.to_owned()])?;
    let found = measure(options)?;
    println!("{}", report::to_markdown(&origin, &found));
    if options.only.is_empty() {
        let written = report::write(&origin, &found, &Path::new(env!("CARGO_MANIFEST_DIR")).join("results"))?;
        eprintln!("written to {}", written.display());
    }
    Ok(if options.check && !target::all_met(TARGETS, &found) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(options: &Options) -> anyhow::Result<Findings> {
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let benches = std::env::current_exe().context("cannot tell where this program is")?;
    let mut plane = Plane::start(benches.with_file_name("shadowcat-control-plane"), None)?;
    let runtime = Runtime::new()?;
    let admin = {
        let _runtime = runtime.enter();
        plane.admin()?
    };
    let mut found = Findings::default();
    if wanted(Part::Commits) || wanted(Part::Restarts) {
        runtime.block_on(simulate(&mut plane, &admin, &wanted, &mut found))?;
    }
    if wanted(Part::Swap) {
        eprintln!("  swaps under load");
        found.swap = Some(Swap::measure(&plane, &admin, &runtime, &benches.with_file_name("shadowcat-data-plane"))?);
    }
    Ok(found)
}

/// Everything that simulated nodes take part in; they are gone when it returns.
async fn simulate(
    plane: &mut Plane,
    admin: &Admin,
    wanted: &impl Fn(Part) -> bool,
    found: &mut Findings,
) -> anyhow::Result<()> {
    let token = admin.join_token(LARGE).await?;
    let mut crowd = Crowd::new(plane.address);
    let mut last = admin.apply(content::edited(0)).await?;
    for nodes in [SMALL, LARGE] {
        eprintln!("  {nodes} nodes");
        crowd.grow(nodes - crowd.len(), &token, &What::Applied(last)).await?;
        if wanted(Part::Commits) {
            found.commits.push(Commits::measure(plane, admin, &mut crowd, &mut last).await?);
        }
    }
    if wanted(Part::Restarts) {
        for outage in OUTAGES {
            eprintln!("  a restart after {outage:?}");
            found.restarts.push(Restart::measure(plane, &mut crowd, outage).await?);
        }
    }
    Ok(())
}
