//! What a call through Shadowcat costs, measured beside nginx and a bare hyper pass-through in one go.
//!
//! `compare` is the measurement; the other commands are its parts, which it starts as processes of their own so that
//! each can be charged for its own CPU and memory. What is measured, and how, is told in `README.md` beside this
//! crate.
#![allow(clippy::print_stdout, reason = "a program that measures exists to print what it found")]

mod compare;
mod exchange;
mod floor;
mod load;
mod serve;
mod upstream;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The allocator of the shipped binaries: floor and gateway shall differ by their code alone.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Shadowcat against nginx and a bare hyper pass-through.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything, interleaved, and prints the tables
    Compare(compare::Options),
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
        Command::Load(options) => load::main(&options),
        Command::Upstream(options) => upstream::serve(&options).map(|()| ExitCode::SUCCESS),
        Command::StdioUpstream => upstream::serve_stdio().map(|()| ExitCode::SUCCESS),
        Command::Floor(options) => floor::serve(&options).map(|()| ExitCode::SUCCESS),
    }
}
