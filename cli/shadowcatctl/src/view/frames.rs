//! Frames as the index has them: one line each.

use serde::Serialize;
use shadowcat_proto::admin::v1::Frame;

use crate::output::{Cell, Page, Rows, Table, Tone, View, cut, each, instant, latency, size};

/// Characters of a name that a cell shows: what a table with eight other columns has room for.
const NAME_CHARACTERS: usize = 48;

const HEADINGS: [&str; 9] = ["TIME", "CALL", "NODE", "ROUTE", "METHOD", "OUTCOME", "LATENCY", "SIZE", "TAPE"];

/// Widths of the columns before anything is known of them: those of usual names, so that most rows are in line from the first.
const WIDTHS: [usize; 9] = [24, 13, 8, 12, 26, 10, 7, 6, 8];

const FOLLOWED_HEADINGS: [&str; 7] = ["TIME", "NODE", "WAY", "METHOD", "OUTCOME", "LATENCY", "TAPE"];
const FOLLOWED_WIDTHS: [usize; 7] = [24, 8, 3, 26, 10, 7, 8];

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
        FrameRows::new(Columns::Found).line(self, page)
    }
}

/// A table of frames, row by row as they come.
#[derive(Debug)]
pub struct FrameRows {
    rows: Option<Rows>,
    columns: Columns,
}

/// What is told of frames that come one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// Of those that a search finds: all that there is.
    Found,
    /// Of those that happen now: what changes from one to the next.
    Followed,
}

impl FrameRows {
    /// No row yet.
    #[must_use]
    pub fn new(columns: Columns) -> Self {
        Self { rows: None, columns }
    }

    /// The row of a frame; before the first one, the headings.
    pub fn line(&mut self, frame: &Frame, page: &Page) -> String {
        let (headings, widths, cells): (&[&str], &[usize], Vec<Cell>) = match self.columns {
            Columns::Found => (&HEADINGS, &WIDTHS, cells(frame).into()),
            Columns::Followed => (&FOLLOWED_HEADINGS, &FOLLOWED_WIDTHS, followed(frame).into()),
        };
        match &mut self.rows {
            Some(rows) => rows.line(&cells, page.paint),
            none => {
                let rows = none.insert(Rows::new(widths));
                let headings: Vec<Cell> = headings.iter().map(|name| Cell::toned(Tone::Faint, name)).collect();
                rows.line(&headings, page.paint) + &rows.line(&cells, page.paint)
            }
        }
    }
}

fn cells(frame: &Frame) -> [Cell; 9] {
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

fn followed(frame: &Frame) -> [Cell; 7] {
    [
        instant(frame.at.as_ref()).into(),
        name(&frame.node),
        arrow(&frame.direction).into(),
        name(&method(frame)),
        outcome(frame),
        frame.latency_us.map_or_else(String::new, latency).into(),
        name(&frame.tape),
    ]
}

fn name(text: &str) -> Cell {
    Cell::from(cut(text, NAME_CHARACTERS))
}

/// Which way a message went.
pub(super) fn arrow(direction: &str) -> &'static str {
    match direction {
        "c2s" => "→",
        "s2c" => "←",
        _ => "·",
    }
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
