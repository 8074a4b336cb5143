//! A judgement as lines.

use shadowcat_tape::tape::Report;
use shadowcatctl_cli::output::{Page, Tone, bytes, clean, count, cut};

use super::{Judgement, Kind, State};

/// Characters of a line: what tells of the longest name and reason that a writer of this project makes, twice over.
const LINE_CHARACTERS: usize = 500;

/// A judgement, to be read by a person.
#[derive(Debug)]
pub struct Verdict<'a>(pub &'a Judgement);

impl State {
    /// Its name, in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Open => "open",
            Self::Damaged => "damaged",
            Self::Newer => "newer",
        }
    }

    /// The colour that it is told in.
    #[must_use]
    pub const fn tone(self) -> Tone {
        match self {
            Self::Whole => Tone::Good,
            Self::Open => Tone::Plain,
            Self::Newer => Tone::Warning,
            Self::Damaged => Tone::Bad,
        }
    }
}

impl Verdict<'_> {
    /// What it is like, then everything that is wrong, then what there is. Every line ends with a newline.
    #[must_use]
    pub fn text(&self, page: &Page) -> String {
        let Judgement { place, state, report, remarks, .. } = self.0;
        let told = page.paint.apply(state.tone(), state.as_str());
        let mut text = format!("{}: {told}\n", clean(&place.path.display().to_string()));
        let mut line = |sentence: &str| text.push_str(&format!("  {}\n", clean(&cut(sentence, LINE_CHARACTERS))));
        report.problems.iter().for_each(|problem| line(&problem.to_string()));
        for (seq, why, frames) in &report.gaps {
            let many =
                frames.map_or_else(|| "nobody knows how many frames".to_owned(), |frames| count(frames, "frame"));
            line(&format!("the recording says at record {seq} that {many} are missing before it ({why})"));
        }
        if report.untold > 0 {
            line(&format!("and {} more", report.untold));
        }
        remarks.iter().for_each(|remark| line(remark));
        line(&self.there_is(report));
        text
    }

    fn there_is(&self, report: &Report) -> String {
        let stored = bytes(self.0.stored_bytes);
        let segments = match (self.0.place.kind, report.segments) {
            (_, 0) if self.0.state == State::Newer => return format!("nothing of it was read, {stored}"),
            (Kind::Spool, 0) if report.is_ok() => {
                "no segment: everything is shipped, or nothing was recorded".to_owned()
            }
            (_, segments) => count(segments, "segment"),
        };
        let apart = match report.blobs {
            0 => String::new(),
            blobs => format!(", {} kept apart", count(blobs, "message")),
        };
        format!("{segments}{apart}, {stored}; {}", report.summary)
    }
}
