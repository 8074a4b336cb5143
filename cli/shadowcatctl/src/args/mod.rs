//! The command line: what a person may write, and what it means.
//!
//! What every command shares is also `SHADOWCAT_<OPTION>` in the environment, and the command line wins. What belongs to one command
//! is not: a forgotten variable must not apply a file. Nothing here opens a file or a socket.

mod commands;
mod tapes;
mod top;
mod units;

use clap::{Parser, Subcommand};

pub use commands::{
    ApplyArgs, AuditCommand, CommitArgs, CompletionArgs, ContextCommand, DiffArgs, Files, HistoryArgs, NodesCommand,
    PageArgs, PlanArgs, RollbackArgs, SessionsCommand, ShowArgs, TokenArgs, UpstreamsCommand, Versions, Watch,
};
pub use tapes::{
    DeleteArgs, ExportArgs, HoldArgs, ListTapesArgs, Part, Place, ReleaseArgs, SearchArgs, ShowTapeArgs, Span,
    TailArgs, TapesCommand, What,
};
pub use top::TopArgs;
pub use units::{When, written};

use crate::EXIT_CODES;
use crate::connect::{Fingerprint, Server};
use crate::context::Connection;
use crate::output::Format;

/// A fleet of MCP gateways, from the shell.
#[derive(Debug, Parser)]
#[command(
    name = "shadowcatctl",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = EXIT_CODES
)]
pub struct Args {
    /// How answers are printed
    #[arg(
        short,
        long,
        env = "SHADOWCAT_OUTPUT",
        hide_env_values = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t = Format::Table,
        hide_possible_values = true,
        global = true,
        help = "How answers are printed: table, json, jsonl or yaml"
    )]
    pub output: Format,
    /// Which control plane, and who asks.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that say which control plane is meant.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection (default: the current context)")]
pub struct ConnectionArgs {
    /// The control plane: https://host:port, or http://127.0.0.1:port on this machine
    #[arg(long, env = "SHADOWCAT_SERVER", hide_env_values = true, value_name = "URL", global = true)]
    pub server: Option<Server>,
    /// The token that says who asks
    #[arg(long, env = "SHADOWCAT_TOKEN", hide_env_values = true, value_name = "TOKEN", global = true)]
    pub token: Option<String>,
    /// The fleet that is meant
    #[arg(long, env = "SHADOWCAT_FLEET", hide_env_values = true, value_name = "FLEET", global = true)]
    pub fleet: Option<String>,
    /// SHA-256 of the certificate of the control plane's authority, for https://
    #[arg(long, env = "SHADOWCAT_CA", hide_env_values = true, value_name = "FINGERPRINT", global = true)]
    pub ca: Option<Fingerprint>,
}

impl From<ConnectionArgs> for Connection {
    fn from(args: ConnectionArgs) -> Self {
        // An empty variable is one that somebody unset as well as they could.
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self { server: args.server, token: given(args.token), fleet: given(args.fleet), ca: args.ca }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make files the fleet's next version, and see it reach the nodes
    Apply(ApplyArgs),
    /// Show what `apply` would change
    Plan(PlanArgs),
    /// Show what changed between two versions
    Diff(DiffArgs),
    /// List versions, newest first
    History(HistoryArgs),
    /// Print a version as a file that can be applied again
    Show(ShowArgs),
    /// Make an earlier version's content the next version
    Rollback(RollbackArgs),
    /// The fleet's data planes
    #[command(subcommand)]
    Nodes(NodesCommand),
    /// List the routes of the current version
    Routes(Watch),
    /// The MCP servers of the current version, as the nodes see them
    #[command(subcommand)]
    Upstreams(UpstreamsCommand),
    /// Sessions of MCP clients
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Recorded traffic of the fleet
    #[command(subcommand)]
    Tapes(Box<TapesCommand>),
    /// Show the fleet at a glance
    Status(Watch),
    /// Show what calls come to now: how many, how many fail, how long they take
    Top(TopArgs),
    /// The record of who changed what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Control planes to work with, kept by name in a file
    #[command(subcommand)]
    Context(ContextCommand),
    /// Print the completions for a shell
    Completion(CompletionArgs),
    /// Print the JSON Schema of a configuration file, for editors
    Schema,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(line: &str) -> Result<Args, String> {
        Args::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent_in_itself() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_every_command_shares_may_stand_after_the_command() {
        let args = read("shadowcatctl nodes list -o jsonl --server http://localhost:1 --fleet edge").expect("valid");
        assert_eq!(args.output, Format::Jsonl);
        assert_eq!(args.connection.server.expect("given").port, 1);
        assert_eq!(args.connection.fleet.as_deref(), Some("edge"));
    }

    #[test]
    fn several_files_may_follow_one_flag_or_one_each() {
        for line in ["shadowcatctl apply -f a b -m why", "shadowcatctl apply -f a -f b"] {
            let Command::Apply(apply) = read(line).expect("valid").command else { panic!("not apply") };
            assert_eq!(apply.files.paths.len(), 2, "{line}");
        }
        read("shadowcatctl apply").expect_err("nothing to apply");
        read("shadowcatctl apply -f -").expect("standard input");
    }

    #[test]
    fn two_versions_are_written_with_two_dots() {
        let Command::Diff(diff) = read("shadowcatctl diff 3..12").expect("valid").command else { panic!("not diff") };
        assert_eq!((diff.versions.from, diff.versions.to), (3, 12));
        for wrong in ["3", "3..", "..3", "a..b", "0..3", "3...4"] {
            let told = read(&format!("shadowcatctl diff {wrong}")).expect_err(wrong);
            assert!(told.contains("3..12"), "{told}");
        }
    }

    #[test]
    fn a_server_in_plain_text_elsewhere_is_wrong_usage() {
        let told = read("shadowcatctl --server http://example.com status").expect_err("plain text");
        assert!(told.contains("https://"), "{told}");
    }
}
