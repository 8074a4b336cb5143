//! One record as lines: a title with its time and direction, and under it what it says.

use std::borrow::Cow;

use pbjson_types::Timestamp;
use shadowcat_proto::admin::v1::Frame;
use shadowcat_tape::line::message;
use shadowcat_tape::record::{Gap, Kind, Outcome, Record, Stage};

use super::super::frames::{arrow, outcome_tone};
use super::body::{self, Envelope, words};
use super::text::{json, paragraph};
use super::{Blobs, Layout, Recorded};
use crate::output::{Page, Tone, bytes, count, latency};

/// Columns of the time that a line begins with.
const TIME_WIDTH: usize = 10;

const SECOND_MICROSECONDS: i128 = 1_000_000;
const MICROSECOND_NANOSECONDS: i128 = 1_000;
const MILLISECOND_MICROSECONDS: i128 = 1_000;

/// Where a record stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Depth<'a> {
    /// First of its group.
    Opening,
    /// Under the one that opened the operation.
    Within(&'a Frame),
}

/// Writes records down.
pub(super) struct Scribe<'a> {
    pub(super) page: &'a Page,
    pub(super) blobs: &'a Blobs,
    pub(super) cure: &'static str,
    pub(super) begin: Option<Timestamp>,
}

/// What is written of one record.
#[derive(Default)]
struct Entry {
    title: String,
    body: Vec<String>,
}

impl Scribe<'_> {
    /// Appends the lines of a record. A reader wants neither heads nor clocks of a conversation.
    pub(super) fn entry(&self, recorded: &Recorded, depth: Depth<'_>, layout: Layout, text: &mut String) {
        let indent = match depth {
            Depth::Opening => "",
            Depth::Within(_) => "  ",
        };
        let width = self.page.width.saturating_sub(TIME_WIDTH + indent.len() + 4);
        let entry = match serde_json::from_slice::<Record<'_>>(&recorded.line) {
            Ok(record) if layout == Layout::Operations && matches!(record.k, Kind::Head | Kind::Clock) => return,
            Ok(record) => self.record(recorded, &record, depth, width),
            Err(why) => {
                let size = bytes(recorded.line.len() as u64);
                let title = format!("? a record of {size} that cannot be read: {}", words(&why.to_string()));
                Entry { title: self.tell(Tone::Bad, &title), body: Vec::new() }
            }
        };
        let time = format!("{:>TIME_WIDTH$}", self.elapsed(&recorded.frame));
        let margin = " ".repeat(TIME_WIDTH);
        text.push_str(&format!("{} {indent}{}\n", self.tell(Tone::Faint, &time), entry.title));
        for line in entry.body {
            text.push_str(format!("{margin} {indent}  {line}").trim_end());
            text.push('\n');
        }
    }

    fn record(&self, recorded: &Recorded, record: &Record<'_>, depth: Depth<'_>, width: usize) -> Entry {
        let frame = &recorded.frame;
        let said = record.text.as_deref().unwrap_or_default();
        let told = |title: String| Entry { title, body: paragraph(said, width) };
        match record.k {
            Kind::Msg => self.message(frame, record, depth, width),
            Kind::Gap => Entry { title: self.tell(Tone::Bad, &gap(record.gap.as_ref())), body: Vec::new() },
            Kind::End => Entry { title: format!("-- {} stopped in order --", words(&frame.node)), body: Vec::new() },
            Kind::Stderr => told(self.tell(Tone::Warning, "! stderr")),
            Kind::Life => {
                let outcome = self.outcome(frame, record);
                let happened = words(record.life.as_deref().unwrap_or("life"));
                told(format!("· {happened} {outcome}").trim_end().to_owned())
            }
            Kind::Http => told(http(record)),
            Kind::Raw => {
                let size = bytes(record.sz.unwrap_or(frame.size));
                told(format!("{} no message, {size}", arrow(&frame.direction)))
            }
            _ => told(format!("· {}", words(&frame.kind))),
        }
    }

    fn message(&self, frame: &Frame, record: &Record<'_>, depth: Depth<'_>, width: usize) -> Entry {
        let message = self.content(record);
        let envelope = message.as_deref().and_then(body::object::<Envelope<'_>>);
        let answers = record.re.is_some() || envelope.as_ref().is_some_and(Envelope::is_answer);
        let mut title = vec![arrow(&frame.direction).to_owned()];
        if record.stage == Some(Stage::Tx) {
            title.push("sent on as".to_owned());
        }
        // The answer to what opened the operation needs no name: it stands under it.
        let named = match depth {
            Depth::Within(opening) => !answers || opening.direction == frame.direction,
            Depth::Opening => true,
        };
        if named {
            title.extend([words(&frame.method), words(&frame.name)].into_iter().filter(|word| !word.is_empty()));
        }
        if answers {
            title.push(self.outcome(frame, record));
            title.extend(frame.latency_us.or(record.lat).map(latency));
            title.push(bytes(record.sz.unwrap_or(frame.size)));
        }
        if !record.red.is_empty() {
            title.push(self.tell(Tone::Faint, &format!("({} redacted)", record.red.len())));
        }
        if matches!(depth, Depth::Opening) {
            title.push(self.tell(Tone::Faint, &words(&frame.id)));
        }
        let body = match (&envelope, &message) {
            (Some(envelope), _) => says(&frame.method, envelope, width),
            (None, Some(text)) => json(text, width),
            (None, None) => paragraph(&self.missing(record), width),
        };
        Entry { title: title.join(" "), body }
    }

    /// The message itself, wherever it is kept. Nothing if it was not recorded, or did not come along.
    fn content<'r>(&'r self, record: &'r Record<'_>) -> Option<Cow<'r, str>> {
        match message(record).ok()? {
            Some(Cow::Borrowed(bytes)) => return Some(String::from_utf8_lossy(bytes)),
            Some(Cow::Owned(bytes)) => return Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())),
            None => {}
        }
        let blob = self.blobs.get(record.blob.as_ref()?.hash.as_ref())?;
        Some(String::from_utf8_lossy(blob))
    }

    /// Why there is no message to show.
    fn missing(&self, record: &Record<'_>) -> String {
        match (&record.blob, &record.b64) {
            (Some(blob), _) => format!("{} kept apart; {} brings them", count(blob.bytes, "byte"), self.cure),
            (None, Some(_)) => "what was recorded is no base64".to_owned(),
            (None, None) => "without its content: the recording keeps none".to_owned(),
        }
    }

    fn outcome(&self, frame: &Frame, record: &Record<'_>) -> String {
        let outcome = match (frame.outcome.as_str(), record.out) {
            ("", Some(outcome)) => Outcome::as_str(outcome),
            (told, _) => told,
        };
        self.tell(outcome_tone(outcome), &words(outcome))
    }

    /// Seconds since the first record; nothing for a record without a time.
    fn elapsed(&self, frame: &Frame) -> String {
        let microseconds = |at: Timestamp| {
            i128::from(at.seconds) * SECOND_MICROSECONDS + i128::from(at.nanos) / MICROSECOND_NANOSECONDS
        };
        let (Some(begin), Some(at)) = (self.begin, frame.at) else { return String::new() };
        let passed = microseconds(at) - microseconds(begin);
        let sign = if passed < 0 { '-' } else { '+' };
        let milliseconds = passed.abs() / MILLISECOND_MICROSECONDS;
        format!("{sign}{}.{:03}s", milliseconds / 1000, milliseconds % 1000)
    }

    fn tell(&self, tone: Tone, text: &str) -> String {
        self.page.paint.apply(tone, text)
    }
}

fn says(method: &str, envelope: &Envelope<'_>, width: usize) -> Vec<String> {
    match (envelope.error, envelope.result, envelope.params) {
        (Some(error), _, _) => body::error(error, width),
        (_, Some(result), _) => body::result(result, width),
        (_, _, Some(params)) => body::parameters(method, params, width),
        (None, None, None) => Vec::new(),
    }
}

fn http(record: &Record<'_>) -> String {
    let Some(http) = &record.http else { return "· http".to_owned() };
    let word = |text: &Option<Cow<'_, str>>| text.as_deref().map(words);
    let status = http.status.map(|status| status.to_string());
    let said = [word(&http.method), word(&http.path), status].into_iter().flatten().collect::<Vec<_>>();
    let arrow = if http.status.is_some() { "←" } else { "→" };
    format!("{arrow} http {}", said.join(" "))
}

fn gap(gap: Option<&Gap<'_>>) -> String {
    let Some(gap) = gap else { return "-- something is missing here --".to_owned() };
    let frames = gap.frames.map_or_else(|| "nobody knows how many frames".to_owned(), |frames| count(frames, "frame"));
    let unread = gap.bytes.map_or_else(String::new, |unread| format!(", {} that could not be read", bytes(unread)));
    let segments = gap.segments.map_or_else(String::new, |(first, last)| format!(", segments {first} to {last}"));
    let instance =
        gap.instance.as_deref().map_or_else(String::new, |instance| format!(" of instance {}", words(instance)));
    format!("-- missing: {frames}{unread}{segments}{instance} ({}) --", words(&gap.why))
}
