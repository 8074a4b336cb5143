//! The commands, one a file: each builds what it needs, runs until it is told to stop, and returns.

mod banner;
mod demo_server;
mod fleet_of_one;
mod gateway;
mod reverse;
mod tape;
mod up;

use crate::args::Command;

/// How a command that ran came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything under way had finished.
    Whole,
    /// The grace period was over first.
    CallsCut,
    /// What was to be judged is damaged, or something of it is missing.
    Damaged,
    /// What was to be read was written by a newer build.
    NewerFormat,
}

/// Runs `command` until it ends by itself or a signal tells it to stop.
///
/// # Errors
///
/// What kept it from starting or going on, in one sentence with the cure; mistakes in a configuration file take a line each.
pub async fn run(command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Up(args) => Box::pin(up::run(args)).await,
        Command::Reverse(args) => reverse::run(args).await,
        Command::Tape(command) => tape::run(command),
        Command::DemoServer(args) => demo_server::run(&args).await,
    }
}
