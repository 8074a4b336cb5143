//! Tapes, and what is kept of the fleet's traffic as a whole.

use pbjson_types::Timestamp;
use shadowcat_proto::admin::v1::tape_stats_response::{Gap, Source};
use shadowcat_proto::admin::v1::{ListTapesResponse, Tape, TapeStatsResponse};

use crate::output::{
    Cell, Facts, Page, Table, Tone, View, age, bytes, clean, count, cut, duration, each, moment, size,
};

/// Characters of a name that a cell shows: what a table with nine other columns has room for.
const NAME_CHARACTERS: usize = 32;

/// Digits of an instance that tell it from others: those that the ids of its frames begin with.
const INSTANCE_DIGITS: usize = 8;

impl View for ListTapesResponse {
    fn text(&self, page: &Page) -> String {
        let headings = ["TAPE", "LAST", "DURATION", "CALLS", "ERRORS", "SIZE", "ROUTE", "SESSION", "HOLD", "NODES"];
        let mut table = Table::new(&headings, "no tapes");
        for tape in &self.tapes {
            table.row(row(tape, page));
        }
        let more = match self.next.as_str() {
            "" => String::new(),
            next => format!("older ones: --cursor {}\n", clean(next)),
        };
        table.render(page.paint) + &more
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.tapes)
    }
}

fn row(tape: &Tape, page: &Page) -> [Cell; 10] {
    let name = |text: &str| Cell::from(cut(text, NAME_CHARACTERS));
    let errors = if tape.errors == 0 { Tone::Plain } else { Tone::Bad };
    [
        Cell::from(&tape.id),
        age(tape.last.as_ref(), page.now).into(),
        lasted(tape.first.as_ref(), tape.last.as_ref()).into(),
        tape.calls.into(),
        Cell::toned(errors, &tape.errors.to_string()),
        size(tape.bytes).into(),
        name(&tape.route),
        name(&tape.session),
        Cell::toned(Tone::Warning, if tape.held { "held" } else { "" }),
        tape.nodes.join(",").into(),
    ]
}

fn lasted(first: Option<&Timestamp>, last: Option<&Timestamp>) -> String {
    let (Some(first), Some(last)) = (first, last) else { return String::new() };
    duration(u64::try_from(last.seconds.saturating_sub(first.seconds)).unwrap_or(0))
}

impl View for TapeStatsResponse {
    fn text(&self, page: &Page) -> String {
        let mut text = Facts::new()
            .fact("tapes", self.tapes)
            .fact("frames", self.frames)
            .fact("segments", self.segments)
            .fact("stored", format!("{}, of {} before compression", bytes(self.stored_bytes), bytes(self.plain_bytes)))
            .fact("kept apart", format!("{}, {}", count(self.blobs, "message"), bytes(self.blob_bytes)))
            .fact("first", moment(self.first.as_ref()))
            .fact("last", moment(self.last.as_ref()))
            .fact("came twice", count(self.repeated, "segment"))
            .render(page.paint);
        text.push('\n');
        let headings = ["NODE", "INSTANCE", "FRAMES", "SEGMENTS", "FIRST", "LAST", "STATE"];
        let mut table = Table::new(&headings, "no node has shipped anything yet");
        for source in &self.sources {
            table.row([
                Cell::from(&source.node),
                short(&source.instance).into(),
                source.frames.into(),
                source.segments.into(),
                age(source.first.as_ref(), page.now).into(),
                age(source.last.as_ref(), page.now).into(),
                state(source),
            ]);
        }
        text.push_str(&table.render(page.paint));
        for (source, gap) in self.sources.iter().flat_map(|source| source.gaps.iter().map(move |gap| (source, gap))) {
            text.push_str(&missing(source, gap));
        }
        text
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.sources)
    }
}

fn short(instance: &str) -> String {
    instance.chars().take(INSTANCE_DIGITS).collect()
}

fn state(source: &Source) -> Cell {
    match (source.gaps.len(), source.complete) {
        (0, true) => Cell::toned(Tone::Good, "complete"),
        (0, false) => Cell::from("not ended"),
        (gaps, _) => Cell::toned(Tone::Bad, &count(gaps as u64, "gap")),
    }
}

/// A gap as a sentence.
fn missing(source: &Source, gap: &Gap) -> String {
    let many = gap.frames.map_or_else(|| "an unknown number of frames".to_owned(), |frames| count(frames, "frame"));
    let place = match gap.before {
        0 => format!("after {}", gap.after),
        before => format!("between {} and {before}", gap.after),
    };
    let detail = if gap.detail.is_empty() { String::new() } else { format!("; {}", clean(&gap.detail)) };
    format!(
        "{} ({}): {many} missing {place}: {}{detail}\n",
        clean(&source.node),
        clean(&short(&source.instance)),
        clean(&gap.why)
    )
}
