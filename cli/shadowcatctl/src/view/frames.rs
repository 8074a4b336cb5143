//! Frames as the index has them: one line each.

use serde::Serialize;
use shadowcat_proto::admin::v1::Frame;

use crate::output::{Cell, Page, Paint, Rows, Table, Tone, View, cut, each, instant, latency, size};

/// Characters of a name that a cell shows: what a table with eight other columns has room for.
const NAME_CHARACTERS: usize = 48;

const HEADINGS: [&str; 9] = ["TIME", "CALL", "NODE", "ROUTE", "METHOD", "OUTCOME", "LATENCY", "SIZE", "TAPE"];

/// Widths of the columns before anything is known of them: those of usual names, so that most rows are in line from the first.
const WIDTHS: [usize; 9] = [24, 13, 8, 12, 26, 10, 7, 6, 8];

/// Frames that were found, the latest first.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FoundFrames {
    /// The frames.
    pub frames: Vec<Frame>,
    /// Where the next search goes on; empty if nothing is left.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// Why the search ended before everything was looked at; empty if it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remark: String,
}

impl View for FoundFrames {
    fn text(&self, page: &Page) -> String {
        if self.frames.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&HEADINGS, "");
        for frame in &self.frames {
            table.row(cells(frame));
        }
        table.render(page.paint)
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.frames)
    }
}

impl View for Frame {
    fn text(&self, page: &Page) -> String {
        FrameRows::default().line(self, page)
    }
}

/// The same table, row by row.
#[derive(Debug, Default)]
pub struct FrameRows(Option<Rows>);

impl FrameRows {
    /// The row of a frame; before the first one, the headings.
    pub fn line(&mut self, frame: &Frame, page: &Page) -> String {
        match &mut self.0 {
            Some(rows) => rows.line(&cells(frame), page.paint),
            none => {
                let rows = none.insert(Rows::new(&WIDTHS));
                headings(rows, page.paint) + &rows.line(&cells(frame), page.paint)
            }
        }
    }
}

fn headings(rows: &mut Rows, paint: Paint) -> String {
    rows.line(&HEADINGS.map(|heading| Cell::toned(Tone::Faint, heading)), paint)
}

fn cells(frame: &Frame) -> [Cell; 9] {
    let name = |text: &str| Cell::from(cut(text, NAME_CHARACTERS));
    [
        instant(frame.at.as_ref()).into(),
        name(&frame.id),
        name(&frame.node),
        name(&frame.route),
        name(&method(frame)),
        outcome(frame),
        frame.latency_us.map_or_else(String::new, latency).into(),
        size(frame.size).into(),
        name(&frame.tape),
    ]
}

/// The method with what it is about, or the kind of what is no message.
fn method(frame: &Frame) -> String {
    match (frame.method.as_str(), frame.name.as_str()) {
        ("", _) => frame.kind.clone(),
        (method, "") => method.to_owned(),
        (method, name) => format!("{method} {name}"),
    }
}

fn outcome(frame: &Frame) -> Cell {
    let text = match frame.code {
        0 => frame.outcome.clone(),
        code => format!("{} {code}", frame.outcome),
    };
    Cell::toned(outcome_tone(&frame.outcome), &cut(&text, NAME_CHARACTERS))
}

/// The colour of an outcome: what did not end well is to be seen first.
pub(super) fn outcome_tone(outcome: &str) -> Tone {
    match outcome {
        "" | "none" => Tone::Plain,
        "ok" => Tone::Good,
        "task" | "input_required" | "cancelled" => Tone::Warning,
        _ => Tone::Bad,
    }
}
