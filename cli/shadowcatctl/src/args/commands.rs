//! The options of each command.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use clap_complete::Shell;

use crate::EXIT_CODES;

/// Options of `apply`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ApplyArgs {
    /// What is applied.
    #[command(flatten)]
    pub files: Files,
    /// How it is committed.
    #[command(flatten)]
    pub commit: CommitArgs,
    /// Check and show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// What would be applied.
    #[command(flatten)]
    pub files: Files,
}

/// Where a configuration comes from.
#[derive(Debug, Args)]
pub struct Files {
    /// Files that together are the configuration: YAML or JSON, directories of them, or - for standard input
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR|-", required = true, num_args = 1..)]
    pub paths: Vec<PathBuf>,
}

/// How a version is committed and followed.
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// Why, for the history
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub message: String,
    /// Refuse unless this is the current version; 0 if there is none yet
    #[arg(long, value_name = "NUMBER")]
    pub if_version: Option<u64>,
    /// Do not wait for the nodes
    #[arg(long)]
    pub no_wait: bool,
}

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The two versions, as in 3..12
    #[arg(value_name = "A..B")]
    pub versions: Versions,
}

/// Two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The one before.
    pub from: u64,
    /// The one after.
    pub to: u64,
}

impl FromStr for Versions {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
        text.split_once("..")
            .and_then(|(from, to)| Some(Self { from: number(from)?, to: number(to)? }))
            .ok_or("give two versions, as in 3..12")
    }
}

/// Options of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Which part of the list.
    #[command(flatten)]
    pub page: PageArgs,
    /// Whether it is shown again and again.
    #[command(flatten)]
    pub watch: Watch,
}

/// A part of a list that grows at its head.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Only what is older than this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub before: u64,
}

/// Options of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Which version [default: the current one]
    #[arg(value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub number: u64,
    /// Write it as a file for `shadowcat-data-plane --seed` instead of printing it
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,
}

/// Options of `rollback`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct RollbackArgs {
    /// The version whose content is wanted again
    #[arg(value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub number: u64,
    /// How it is committed.
    #[command(flatten)]
    pub commit: CommitArgs,
}

/// Whether an answer is shown again and again.
#[derive(Debug, Clone, Copy, Args)]
pub struct Watch {
    /// Ask and show again every 2 s, until interrupted
    #[arg(short = 'w', long = "watch")]
    pub enabled: bool,
}

/// What `nodes` does.
#[derive(Debug, Subcommand)]
pub enum NodesCommand {
    /// List the nodes
    List(Watch),
    /// Show one node, and what it sees of the upstreams
    Show {
        /// Its name
        node: String,
        /// Whether it is shown again and again.
        #[command(flatten)]
        watch: Watch,
    },
    /// Tell a node to finish what it does and stop, as SIGTERM does
    Drain {
        /// Its name
        node: String,
    },
    /// Forget a node, and refuse its certificate from now on
    Remove {
        /// Its name
        node: String,
    },
    /// Make a token with which new nodes join
    Token(TokenArgs),
}

/// Options of `nodes token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// How long it is good for: from 1m to 7d
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = seconds)]
    pub good_for: u32,
    /// How many nodes may join with it
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub uses: u32,
}

/// A time with a unit, in seconds.
fn seconds(text: &str) -> Result<u32, &'static str> {
    const RANGE: std::ops::RangeInclusive<u32> = 60..=7 * 24 * 3600;
    let wanted = "give a number and a unit from 1m to 7d, as in 90s, 15m, 12h or 7d";
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(wanted),
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| RANGE.contains(seconds)).ok_or(wanted)
}

/// What `upstreams` does.
#[derive(Debug, Subcommand)]
pub enum UpstreamsCommand {
    /// List the upstreams
    List(Watch),
    /// Show one upstream, as each node sees it now
    Show {
        /// Its name
        upstream: String,
        /// Whether it is shown again and again.
        #[command(flatten)]
        watch: Watch,
    },
}

/// What `sessions` does.
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List sessions
    List {
        /// Only sessions of this route
        #[arg(long, value_name = "ROUTE", default_value = "", hide_default_value = true)]
        route: String,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Whether they are shown again and again.
        #[command(flatten)]
        watch: Watch,
    },
    /// Show one session
    Show {
        /// Its id
        session: String,
    },
    /// End sessions; their clients have to initialize again
    Kill {
        /// Their ids
        #[arg(required = true, value_name = "SESSION", num_args = 1..=1000)]
        sessions: Vec<String>,
    },
}

/// What `audit` does.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List records, newest first
    List {
        /// Which part of the list.
        #[command(flatten)]
        page: PageArgs,
        /// Whether it is shown again and again.
        #[command(flatten)]
        watch: Watch,
    },
}

/// What `context` does.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// List the contexts
    List,
    /// Make a context the current one
    Use {
        /// Its name
        name: String,
    },
    /// Make or change a context from --server, --token, --fleet and --ca; the first one becomes the current one
    Set {
        /// Its name
        name: String,
    },
    /// Forget a context
    Remove {
        /// Its name
        name: String,
    },
    /// Show a context, without its token
    Show {
        /// Its name [default: the current one]
        name: Option<String>,
    },
}

/// Options of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_life_is_a_number_with_a_unit_within_what_a_control_plane_takes() {
        for (text, read) in [("60s", 60), ("15m", 900), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(seconds(text), Ok(read));
        }
        for text in ["", "15", "m", "59s", "8d", "-1m", "99999999d", "15é"] {
            seconds(text).expect_err(text);
        }
    }
}
