//! The options of `top`.

use clap::{Args, ValueEnum};
use shadowcat_proto::admin::v1::traffic_request::{GroupBy, Order, Window};

/// Which calls have no name of their own.
const OTHER: &str = "\
Calls of `other` are those of tools without a name of their own: no server has answered for it yet
with a result, it is longer than 128 bytes, or the route has 256 others. Of the names that servers
have answered for with `isError` alone, 32 a route are kept apart: clients may have made them up.";

/// Options of `top`.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = OTHER)]
pub struct TopArgs {
    /// What a row is: route, upstream, tool or node
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = By::Route, hide_possible_values = true)]
    pub by: By,
    /// What the first row has most of: calls, errors or p99
    #[arg(long, value_name = "COLUMN", value_enum, default_value_t = Column::Calls, hide_possible_values = true)]
    pub sort: Column,
    /// How far back it looks: 10s, 1m or 5m
    #[arg(long, value_name = "TIME", value_enum, default_value_t = Reach::Minute, hide_possible_values = true)]
    pub window: Reach,
    /// At most so many rows; on a terminal no more than it has room for
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Print one table and end, as it does where nobody looks at a terminal
    #[arg(long)]
    pub once: bool,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// A route.
    Route,
    /// An upstream.
    Upstream,
    /// A tool, or another method.
    Tool,
    /// A node.
    Node,
}

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Column {
    /// How many calls.
    Calls,
    /// How many of them failed.
    Errors,
    /// How long the slowest took.
    P99,
}

/// How far back it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reach {
    /// Ten seconds.
    #[value(name = "10s")]
    TenSeconds,
    /// A minute.
    #[value(name = "1m")]
    Minute,
    /// Five minutes.
    #[value(name = "5m")]
    FiveMinutes,
}

impl From<By> for GroupBy {
    fn from(by: By) -> Self {
        match by {
            By::Route => Self::Route,
            By::Upstream => Self::Upstream,
            By::Tool => Self::Tool,
            By::Node => Self::Node,
        }
    }
}

impl From<Column> for Order {
    fn from(column: Column) -> Self {
        match column {
            Column::Calls => Self::Calls,
            Column::Errors => Self::Errors,
            Column::P99 => Self::P99,
        }
    }
}

impl From<Reach> for Window {
    fn from(span: Reach) -> Self {
        match span {
            Reach::TenSeconds => Self::TenSeconds,
            Reach::Minute => Self::OneMinute,
            Reach::FiveMinutes => Self::FiveMinutes,
        }
    }
}
