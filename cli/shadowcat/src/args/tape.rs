//! The options of `tape`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use shadowcatctl_cli::output::Format;

/// The codes of `tape validate`, as its `--help` shows them.
const EXIT_CODES: &str = "\
Exit codes:
  0  whole
  2  wrong usage, or a path that holds no recorded traffic
  6  damaged, or something is missing
  7  written by a newer build";

/// What `tape` does.
#[derive(Debug, Subcommand)]
pub enum TapeCommand {
    /// List tapes, and spools of nodes, with what they hold and whether they are whole
    List(TapeListArgs),
    /// Show a tape as a conversation
    Show(TapeShowArgs),
    /// Tell everything that is damaged or missing, and where
    Validate(TapeValidateArgs),
}

/// Options of `tape list`.
#[derive(Debug, Args)]
pub struct TapeListArgs {
    /// A tape, a spool, or a directory that holds some [default: those of the data directory, and the current directory]
    #[arg(value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// How the list is printed: table, json, jsonl or yaml
    #[arg(
        short,
        long,
        env = "SHADOWCAT_OUTPUT",
        hide_env_values = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t = Format::Table,
        hide_possible_values = true
    )]
    pub output: Format,
    /// Where `up` and `reverse` keep what they record [default: the platform's data directory]
    #[arg(long, env = "SHADOWCAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Options of `tape show`.
#[derive(Debug, Args)]
pub struct TapeShowArgs {
    /// A directory: a tape, or a node's spool, which may be in use
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Which of several tapes in it [default: the one with the latest frame]
    #[arg(value_name = "TAPE")]
    pub tape: Option<String>,
    /// Print the records as they were written, one JSON document a line, with messages that are kept apart in their place
    #[arg(long)]
    pub raw: bool,
    /// Show each frame for itself, in order
    #[arg(long, conflicts_with = "raw")]
    pub frames: bool,
}

/// Options of `tape validate`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct TapeValidateArgs {
    /// Directories: tapes, or spools of nodes, which may be in use
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}
