//! The options of `tapes`: which frames are meant is said the same way by every command.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use shadowcat_tape::record::Outcome;

use super::Watch;
use super::units::{When, size, time};
use crate::export::ExportFormat;

/// What `--outcome` takes for everything that did not end well.
const ANY_ERROR: &str = "error";

/// What `tapes` does.
#[derive(Debug, Subcommand)]
pub enum TapesCommand {
    /// List tapes, those first that began last
    List(Box<ListTapesArgs>),
    /// Find calls, the latest first
    Search(Box<SearchArgs>),
    /// Show a tape, or a call, as a conversation
    Show(ShowTapeArgs),
    /// Show calls as they end, until interrupted
    Tail(Box<TailArgs>),
    /// Write what was recorded to a file
    Export(Box<ExportArgs>),
    /// Delete tapes, or what was recorded until some time, for good
    Delete(Box<DeleteArgs>),
    /// Keep tapes from being deleted, by whomever
    Hold(HoldArgs),
    /// Let tapes go that were on hold
    Release(ReleaseArgs),
    /// Show how much is kept, and what is missing of which node
    Stats(Watch),
}

/// Where traffic passed, and whose it was.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// Only this route
    #[arg(long, value_name = "ROUTE", default_value = "", hide_default_value = true)]
    pub route: String,
    /// Only this upstream
    #[arg(long, value_name = "UPSTREAM", default_value = "", hide_default_value = true)]
    pub upstream: String,
    /// Only this node
    #[arg(long, value_name = "NODE", default_value = "", hide_default_value = true)]
    pub node: String,
    /// Only this caller, as the recording has it
    #[arg(long, value_name = "PRINCIPAL", default_value = "", hide_default_value = true)]
    pub principal: String,
    /// Only this session: its id, or its beginning from eight characters on
    #[arg(long, value_name = "SESSION", default_value = "", hide_default_value = true)]
    pub session: String,
}

/// From when to when.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Span {
    /// From then on: how long ago, as in 1h, or a moment, as in 2027-01-15T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Until before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
}

/// What was said.
#[derive(Debug, Clone, Default, Args)]
pub struct What {
    /// Somewhere in the message, without regard to case
    #[arg(value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub text: String,
    /// Only calls of this tool; * stands for anything
    #[arg(long, value_name = "NAME", conflicts_with_all = ["prompt", "resource", "method"])]
    pub tool: Option<String>,
    /// Only uses of this prompt; * stands for anything
    #[arg(long, value_name = "NAME", conflicts_with_all = ["resource", "method"])]
    pub prompt: Option<String>,
    /// Only reads of this resource; * stands for anything
    #[arg(long, value_name = "URI", conflicts_with = "method")]
    pub resource: Option<String>,
    /// Only this method, as in tools/list
    #[arg(long, value_name = "METHOD", default_value = "", hide_default_value = true)]
    pub method: String,
    /// Only what ended so: ok, rpc_error, tool_error, …, or error for all that did not end well
    #[arg(
        long = "outcome",
        value_name = "OUTCOME",
        value_delimiter = ',',
        value_parser = outcomes(),
        hide_possible_values = true
    )]
    pub outcomes: Vec<String>,
    /// Only this trace: 32 hexadecimal digits
    #[arg(long, value_name = "TRACE", default_value = "", hide_default_value = true)]
    pub trace: String,
    /// Only what took at least so long, as in 500ms
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub slower_than: Option<Duration>,
    /// Only messages of at least this size, as in 10Ki
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub larger_than: Option<u64>,
    /// Only where this holds, as in 'tool == "search" && latency > duration("2s")'
    #[arg(long, value_name = "EXPRESSION", default_value = "", hide_default_value = true)]
    pub filter: String,
}

fn outcomes() -> PossibleValuesParser {
    Outcome::ALL.into_iter().map(Outcome::as_str).chain([ANY_ERROR]).collect::<Vec<_>>().into()
}

/// Options of `tapes list`.
#[derive(Debug, Args)]
pub struct ListTapesArgs {
    /// Where it passed.
    #[command(flatten)]
    pub place: Place,
    /// When.
    #[command(flatten)]
    pub span: Span,
    /// Which part of the list.
    #[command(flatten)]
    pub part: Part,
    /// Whether it is shown again and again.
    #[command(flatten)]
    pub watch: Watch,
}

/// Options of `tapes search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What was said.
    #[command(flatten)]
    pub what: What,
    /// Where it passed.
    #[command(flatten)]
    pub place: Place,
    /// When.
    #[command(flatten)]
    pub span: Span,
    /// Only this tape, or what belongs to this call; may be repeated
    #[arg(long = "tape", value_name = "ID")]
    pub tapes: Vec<String>,
    /// Find every frame, not only those that end a call
    #[arg(long)]
    pub frames: bool,
    /// Which part of what is found.
    #[command(flatten)]
    pub part: Part,
}

/// Options of `tapes show`.
#[derive(Debug, Args)]
pub struct ShowTapeArgs {
    /// A tape, a call, or @last for the tape with the latest frame
    #[arg(value_name = "ID")]
    pub id: String,
    /// Print the records as they were written, one JSON document a line
    #[arg(long)]
    pub raw: bool,
    /// Show each frame for itself, in order
    #[arg(long, conflicts_with = "raw")]
    pub frames: bool,
    /// At most so many frames [default: 10000; with --raw or -o jsonl, 1000000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub limit: Option<u64>,
}

/// Options of `tapes tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// What was said.
    #[command(flatten)]
    pub what: What,
    /// Where it passed.
    #[command(flatten)]
    pub place: Place,
    /// Show every frame, not only those that end a call
    #[arg(long)]
    pub frames: bool,
    /// Go on until interrupted, as it does without this too
    #[arg(short = 'f', long = "follow")]
    pub follow: bool,
}

/// Options of `tapes export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// What was said.
    #[command(flatten)]
    pub what: What,
    /// Where it passed.
    #[command(flatten)]
    pub place: Place,
    /// When.
    #[command(flatten)]
    pub span: Span,
    /// Only this tape, or what belongs to this call; may be repeated
    #[arg(long = "tape", value_name = "ID")]
    pub tapes: Vec<String>,
    /// Where it is written: a name that nothing has yet
    #[arg(long, value_name = "PATH")]
    pub to: PathBuf,
    /// As what: tape, jsonl, har or parquet [default: as the name ends]
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    pub format: Option<ExportFormat>,
}

/// What is not found, and so cannot be selected.
const BYTES_ALONE: &str = "\
Nothing selects segments that are kept as bytes alone, as `tapes stats` tells (not_indexed, twin).
They go a week after they were recorded, whatever their recording says.";

/// Options of `tapes delete`.
#[derive(Debug, Args)]
#[command(after_help = BYTES_ALONE)]
pub struct DeleteArgs {
    /// The tapes
    #[arg(value_name = "TAPE")]
    pub tapes: Vec<String>,
    /// Where it passed.
    #[command(flatten)]
    pub place: Place,
    /// When.
    #[command(flatten)]
    pub span: Span,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
}

/// Options of `tapes hold`.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// The tapes
    #[arg(required = true, value_name = "TAPE")]
    pub tapes: Vec<String>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}

/// Options of `tapes release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The tapes
    #[arg(required = true, value_name = "TAPE")]
    pub tapes: Vec<String>,
}

/// A part of a list that is told page by page.
#[derive(Debug, Args)]
pub struct Part {
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Where the part before ended
    #[arg(long, value_name = "CURSOR", default_value = "", hide_default_value = true)]
    pub cursor: String,
}
