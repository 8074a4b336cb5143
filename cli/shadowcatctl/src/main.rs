//! The program `shadowcatctl`.
//!
//! The story: read the command line; run the command on one thread, which is all that a few calls need and starts at once; print
//! why if it failed, and exit with the code that says so to a script.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use shadowcatctl_cli::args::Args;
use shadowcatctl_cli::{Failure, commands};

fn main() -> ExitCode {
    let args = Args::try_parse().unwrap_or_else(|error| error.exit());
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody can be told that standard error is closed; the exit code still says what happened.
            let _ = std::io::stderr().lock().write_all(failure.message().as_bytes());
            ExitCode::from(failure.exit() as u8)
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::failed(format!("cannot start: {why}")))?;
    let done = runtime.block_on(commands::run(args));
    // A name that is still being looked up has a thread that cannot be cancelled; nothing waits for it.
    runtime.shutdown_background();
    done
}
