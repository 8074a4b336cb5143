//! What a call through Shadowcat costs, measured beside nginx and a bare hyper pass-through in one go, and what a fleet
//! of nodes and the traffic that they record cost their control plane.
//!
//! `compare` measures what a call costs, `fleet` what a version of a configuration does on its way, and `ingest` what
//! recorded traffic does on its; the other commands are their parts, which run as processes of their own so that each can be charged for its own CPU and
//! memory. What is measured, and how, is told in `README.md` beside this crate.
#![allow(clippy::print_stdout, reason = "a program that measures exists to print what it found")]

mod compare;
mod exchange;
mod fleet;
mod floor;
mod ingest;
mod load;
mod machine;
mod plane;
mod process;
mod serve;
mod table;
mod target;
mod upstream;
mod usage;
mod values;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The allocator of the shipped binaries: floor and gateway shall differ by their code alone.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Shadowcat: calls against nginx and a bare hyper pass-through, and fleets against their targets.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything, interleaved, and prints the tables
    Compare(compare::Options),
    /// Runs a fleet of simulated nodes under a real control plane, and prints the tables
    Fleet(fleet::Options),
    /// Ships recorded traffic to a real control plane, asks for some of it, and prints the tables
    Ingest(ingest::Options),
    /// Calls an MCP server over Streamable HTTP and checks every answer
    Load(load::Options),
    /// Serves MCP over Streamable HTTP at next to no cost
    Upstream(upstream::Options),
    /// Serves MCP over stdin and stdout at next to no cost
    StdioUpstream,
    /// Passes HTTP on and understands nothing of it
    Floor(floor::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Fleet(options) => fleet::run(&options),
        Command::Ingest(options) => ingest::run(&options),
        Command::Load(options) => load::main(&options),
        Command::Upstream(options) => upstream::serve(&options).map(|()| ExitCode::SUCCESS),
        Command::StdioUpstream => upstream::serve_stdio().map(|()| ExitCode::SUCCESS),
        Command::Floor(options) => floor::serve(&options).map(|()| ExitCode::SUCCESS),
    }
}
