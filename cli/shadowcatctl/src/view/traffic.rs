//! What calls come to.

use serde::{Serialize, Serializer};
use shadowcat_proto::admin::v1::traffic_request::{GroupBy, Window};
use shadowcat_proto::admin::v1::{TrafficResponse, TrafficRow};

use crate::output::{Cell, Page, Table, Tone, View, count, cut, each, latency, per_second, share};

/// Columns that seven numbers take beside a name.
const NUMBERS_WIDTH: usize = 60;

/// Characters of a name that a cell shows, at least and at most: what the terminal has room for.
const NAME_CHARACTERS: (usize, usize) = (16, 64);

/// What stands for the calls that nodes do not tell apart.
const OTHER: &str = "(other)";

/// The traffic of a window, and what was asked for.
#[derive(Debug, Clone)]
pub struct Top {
    /// For programs.
    pub answer: TrafficResponse,
    /// What a row is.
    pub by: GroupBy,
    /// How far back it reaches.
    pub window: Window,
}

impl Serialize for Top {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.answer.serialize(serializer)
    }
}

impl View for Top {
    fn text(&self, page: &Page) -> String {
        let total = self.answer.total.clone().unwrap_or_default();
        let window = match self.window {
            Window::TenSeconds => "the last 10s",
            Window::OneMinute => "the last minute",
            Window::FiveMinutes => "the last 5m",
        };
        if total.calls == 0 {
            return format!("no calls in {window}\n");
        }
        let nodes = count(u64::from(self.answer.nodes), "node");
        let mut text = format!("{} in {window}, on {nodes}\n\n", sentence(&total));
        let what = match self.by {
            GroupBy::Route => "ROUTE",
            GroupBy::Upstream => "UPSTREAM",
            GroupBy::Tool => "METHOD",
            GroupBy::Node => "NODE",
        };
        let mut table = Table::new(&[what, "CALLS/S", "CALLS", "ERRORS", "ERR%", "P50", "P90", "P99"], "");
        let (least, most) = NAME_CHARACTERS;
        let room = page.width.saturating_sub(NUMBERS_WIDTH).clamp(least, most);
        for row in &self.answer.rows {
            table.row(cells(row, room));
        }
        text.push_str(&table.render(page.paint));
        if self.answer.left_out > 0 {
            let more = count(u64::from(self.answer.left_out), "row");
            text.push_str(&format!("{more} more: see --limit\n"));
        }
        text
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.answer.rows)
    }
}

fn cells(row: &TrafficRow, room: usize) -> [Cell; 8] {
    let errors = if row.errors == 0 { Tone::Plain } else { Tone::Bad };
    let taken = |latency_us: Option<u64>| Cell::from(latency_us.map_or_else(String::new, latency));
    [
        Cell::from(cut(&name(row), room)),
        per_second(row.calls_per_second).into(),
        row.calls.into(),
        Cell::toned(errors, &row.errors.to_string()),
        Cell::toned(errors, &share(row.error_share)),
        taken(row.p50_us),
        taken(row.p90_us),
        taken(row.p99_us),
    ]
}

/// What a row is of: it has the names that it is grouped by.
pub(super) fn name(row: &TrafficRow) -> String {
    let names = [&row.route, &row.upstream, &row.method, &row.tool, &row.node];
    let names: Vec<&str> = names.into_iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    if names.is_empty() { OTHER.to_owned() } else { names.join(" ") }
}

/// `8.0 calls/s, 1.2% errors, p50 3.1ms, p99 40.2ms`.
pub(super) fn sentence(row: &TrafficRow) -> String {
    let rate = per_second(row.calls_per_second);
    let taken = |name: &str, latency_us: Option<u64>| {
        latency_us.map_or_else(String::new, |latency_us| format!(", {name} {}", latency(latency_us)))
    };
    let (half, slowest) = (taken("p50", row.p50_us), taken("p99", row.p99_us));
    format!("{rate} calls/s, {} errors{half}{slowest}", share(row.error_share))
}
