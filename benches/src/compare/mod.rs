//! The comparison: everything that is measured against each other runs in one go, in turns, on one machine.
//!
//! A round starts every proxy afresh and takes each measurement through all of them before the next, in turns, so that
//! what the machine does meanwhile falls on all alike. Absolute figures move with the machine; ratios within a round are what
//! targets are set on.

mod gateway;
mod measurement;
mod nginx;
mod report;
mod round;
mod stdio;
mod subject;
mod targets;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::load;
use crate::machine::Origin;
use crate::process;
use crate::target;
use measurement::Measurement;
use report::Report;
use round::Round;
use subject::Subject;
use targets::TARGETS;

/// Enough for medians that repeat.
const ROUNDS_OF_A_CHECK: usize = 5;

/// How the figures are to be read.
const REMARK: &str =
    "load generator, proxy and upstream on the same cores; medians over the rounds; read ratios, not absolute figures";

/// Runs everything, interleaved, and prints the tables
///
/// A run over all measurements and subjects is written to benches/results/.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Five rounds; fails if the median of any target is missed
    #[arg(long)]
    check: bool,
    /// How often everything is measured
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds that count, of each measurement of calls
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Only these measurements: a kind (json, sse, streams, ready, stdio) or one of a kind (json/32)
    #[arg(long, value_delimiter = ',', conflicts_with = "check")]
    only: Vec<String>,
    /// Only through these
    #[arg(long, value_delimiter = ',', value_enum, conflicts_with = "check")]
    subjects: Vec<Subject>,
}

/// What a comparison measures, and where its parts are.
struct Comparison {
    measurements: Vec<Measurement>,
    subjects: Vec<Subject>,
    measured: Duration,
    binaries: Binaries,
}

/// The programs of this workspace.
struct Binaries {
    /// This one: upstream and floor.
    benches: PathBuf,
    /// The gateway.
    shadowcat: PathBuf,
}

/// The `compare` command.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let comparison = Comparison::new(options)?;
    load::raise_open_files()?;
    if comparison.measures_gateway() {
        process::build(&[("shadowcat", "shadowcat")])?;
    }
    let origin = Origin::read(vec![nginx::version()?, REMARK.to_owned()])?;
    let rounds = options.rounds.unwrap_or(if options.check { ROUNDS_OF_A_CHECK } else { 1 });
    ensure!(rounds > 0, "--rounds 0 measures nothing");
    let rounds = (1..=rounds)
        .map(|number| {
            eprintln!("round {number} of {rounds}");
            Round::run(&comparison, number)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;

    let report = Report { origin, rounds };
    println!("{}", report.to_markdown());
    let whole = options.only.is_empty() && options.subjects.is_empty();
    if whole {
        let written = report.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results"))?;
        eprintln!("written to {}", written.display());
    }
    Ok(if options.check && !target::all_met(TARGETS, &report.rounds) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Comparison {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let benches = std::env::current_exe().context("cannot tell where this program is")?;
        let shadowcat = benches.with_file_name("shadowcat");
        let subjects = if options.subjects.is_empty() { Subject::ALL.to_vec() } else { options.subjects.clone() };
        Ok(Self {
            measurements: Measurement::select(&options.only)?,
            subjects,
            measured: Duration::try_from_secs_f64(options.seconds).context("--seconds")?,
            binaries: Binaries { benches, shadowcat },
        })
    }

    /// Whether the gateway is needed at all.
    fn measures_gateway(&self) -> bool {
        self.subjects.iter().any(|subject| {
            matches!(subject, Subject::Shadowcat | Subject::ShadowcatRedis | Subject::ShadowcatRecording)
        })
    }

    fn measures(&self, measurement: Measurement) -> bool {
        self.measurements.contains(&measurement)
    }
}
