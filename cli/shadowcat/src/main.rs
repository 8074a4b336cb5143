//! The program `shadowcat`.
//!
//! The story: become the reaper if that is what this process was started for; read the command line; set up logs; run the command until
//! it is told to stop and has drained; exit with 0 if nothing was cut, 1 if something was, 2 if it could not run, and of recorded traffic
//! with 6 if it is damaged and 7 if a newer build wrote it.

use std::process::ExitCode;

use anyhow::Context;
use shadowcat_cli::args::Args;
use shadowcat_cli::commands::{self, Ended};
use shadowcat_proxy::{init_logging, raise_file_limit};
use shadowcat_upstream::reaper;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What could not run, whether the command line or the world was against it.
const EXIT_NOT_RUN: u8 = 2;

/// Recorded traffic is damaged, or not all there.
const EXIT_DAMAGED: u8 = 6;

/// Recorded traffic is of a newer format.
const EXIT_NEWER_FORMAT: u8 = 7;

fn main() -> ExitCode {
    if reaper::run_if_asked() {
        return ExitCode::SUCCESS;
    }
    let args = Args::read().unwrap_or_else(|error| error.exit());
    match run(args) {
        Ok(Ended::Whole) => ExitCode::SUCCESS,
        Ok(Ended::CallsCut) => {
            tracing::warn!("calls were cut when the grace period ended");
            ExitCode::FAILURE
        }
        Ok(Ended::Damaged) => ExitCode::from(EXIT_DAMAGED),
        Ok(Ended::NewerFormat) => ExitCode::from(EXIT_NEWER_FORMAT),
        Err(error) => {
            eprintln!("shadowcat: {error:#}");
            ExitCode::from(EXIT_NOT_RUN)
        }
    }
}

fn run(args: Args) -> anyhow::Result<Ended> {
    let directives = &args.log.directives;
    init_logging(directives, args.log.format).with_context(|| {
        format!("--log {directives:?}: give RUST_LOG directives, such as info,shadowcat_proxy=debug")
    })?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(commands::run(args.command));
    // A read of standard input cannot be cancelled; waiting for it would keep the process until the next key.
    runtime.shutdown_background();
    ended
}
