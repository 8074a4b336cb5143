//! Places as a list: the answer of `shadowcat tape list`.

use serde::Serialize;
use shadowcat_proto::admin::v1::Tape;
use shadowcatctl_cli::output::{Cell, Page, Table, Tone, View, age, cut, size};

use super::{Judgement, Kind, State};

/// Problems of a place that a list names; `tape validate` tells the others.
const PROBLEMS_NAMED: usize = 10;

/// Characters of the first problem that a table shows: what it has room for on a wide terminal.
const PROBLEM_CHARACTERS: usize = 100;

/// What a person does who has none.
const EMPTY: &str = "no tapes; `shadowcatctl tapes export` makes one, and `shadowcat up` records what passes";

/// A place with recorded traffic.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Where it is.
    pub path: String,
    /// `tape` or `spool`.
    pub kind: &'static str,
    /// What there is, as a control plane tells it of its tapes.
    #[serde(flatten)]
    pub tape: Tape,
    /// Bytes of its files, in decimal, as the numbers beside it are written.
    pub stored_bytes: String,
    /// What it is like.
    pub state: State,
    /// What is wrong, the first ten of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// How many others there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_problems: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl From<&Judgement> for Row {
    fn from(judgement: &Judgement) -> Self {
        let Judgement { place, state, tally, stored_bytes, report, .. } = judgement;
        let more = report.problems.len().saturating_sub(PROBLEMS_NAMED) as u64 + report.untold;
        Self {
            path: place.path.display().to_string(),
            kind: place.kind.as_str(),
            tape: tally.tape(),
            stored_bytes: stored_bytes.to_string(),
            state: *state,
            problems: report.problems.iter().take(PROBLEMS_NAMED).map(ToString::to_string).collect(),
            more_problems: more,
        }
    }
}

/// Places, in the order in which they were looked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Listing {
    /// One for each.
    pub tapes: Vec<Row>,
}

impl View for Listing {
    fn text(&self, page: &Page) -> String {
        let headings = ["PATH", "KIND", "FIRST", "LAST", "FRAMES", "CALLS", "ERRORS", "SIZE", "STATE"];
        let mut table = Table::new(&headings, EMPTY);
        for row in &self.tapes {
            table.row(row.cells(page));
        }
        table.render(page.paint)
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        self.tapes.iter().map(serde_json::to_string).collect()
    }
}

impl Row {
    fn cells(&self, page: &Page) -> [Cell; 9] {
        let tape = &self.tape;
        let errors = if tape.errors == 0 { Tone::Plain } else { Tone::Bad };
        [
            Cell::from(&self.path),
            self.kind.into(),
            age(tape.first.as_ref(), page.now).into(),
            age(tape.last.as_ref(), page.now).into(),
            tape.frames.into(),
            tape.calls.into(),
            Cell::toned(errors, &tape.errors.to_string()),
            size(tape.bytes).into(),
            Cell::toned(self.state.tone(), &self.told()),
        ]
    }

    /// The state, and the first of what is wrong.
    fn told(&self) -> String {
        let is_usual = self.state == State::Open && self.kind == Kind::Spool.as_str();
        let Some(first) = self.problems.first().filter(|_| !is_usual) else { return self.state.as_str().to_owned() };
        let others = self.problems.len() as u64 - 1 + self.more_problems;
        let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
        format!("{}: {}{more}", self.state.as_str(), cut(first, PROBLEM_CHARACTERS))
    }
}
