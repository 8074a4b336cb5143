//! From what a child did to records.
//!
//! | Record | Of |
//! |---|---|
//! | `life` | `spawned` with its command, `session` with the exchange that opened it, `signalled`, `exited` with how and why |
//! | `stderr`, `raw` | a line of its stderr, a line of its stdout that is no message |
//! | `msg` | a message as a shared child sees it, with the exchange that it belongs to: `tx` what it is sent, `rx` what it sends |
//!
//! **Invariant.** None of them has an outcome or answers a request: a call is told, and counted, in its client's exchange.

use std::borrow::Cow;
use std::process::ExitStatus;

use bytes::Bytes;
use serde_json::value::RawValue;
use shadowcat_config::Capture;
use shadowcat_mcp::{Envelope, Limits};
use shadowcat_tape::line::Message;
use shadowcat_tape::record::{self, BLOB_BYTES_MIN, Direction, Record, Redacted, Stage};
use shadowcat_upstream::ExitReason;

use super::child_tapes::Pipe;
use super::children::{Did, Doing};
use super::frame::{Framer, name};
use super::names::Names;
use super::recorder::share;
use super::secrets::cleaned_id;

/// A record of a child, before it is complete.
struct Draft<'a> {
    record: Record<'a>,
    message: Option<Message<'a>>,
}

impl<'a> From<Record<'a>> for Draft<'a> {
    fn from(record: Record<'a>) -> Self {
        Self { record, message: None }
    }
}

impl Framer {
    /// Something that a child did.
    pub(super) fn did(&mut self, doing: &Doing) {
        match &doing.did {
            Did::Spawned { pid, command } => {
                self.children.born(doing.child, doing.holes);
                let command = self.cleaned(doing, command);
                // Cut behind what is blotted out, so that no half of a secret stays.
                let command = &command[..command.floor_char_boundary(BLOB_BYTES_MIN)];
                self.life(doing, "spawned", format!("pid {pid}: {command}"));
            }
            Did::Session { exchange } => {
                self.children.await_session(*exchange, doing.child);
                let record = Record { xchg: Some(*exchange), ..life("session") };
                self.keep_of_child(doing, record.into());
            }
            Did::Stderr(line) => self.stderr(doing, line),
            Did::Stray(line) => self.stray(doing, line),
            Did::Sent { exchange, message } => {
                let request = exchange.and_then(|exchange| self.children.request(exchange));
                let mut record = passed(Direction::C2s, Stage::Tx, *exchange);
                record.of = request.map(|request| request.seq);
                record.op = request.and_then(|request| request.operation);
                self.passed(doing, record, message);
            }
            Did::Received { exchange, message } => {
                let request = exchange.and_then(|exchange| self.children.request(exchange));
                let mut record = passed(Direction::S2c, Stage::Rx, *exchange);
                record.op = request.and_then(|request| request.operation);
                self.passed(doing, record, message);
            }
            Did::Signalled(signal) => self.life(doing, "signalled", (*signal).to_owned()),
            Did::Exited { status, why } => {
                self.life(doing, "exited", ending(*status, *why));
                self.children.forget(doing.child);
            }
        }
    }

    fn life(&mut self, doing: &Doing, what: &'static str, detail: String) {
        let record = Record { text: Some(detail.into()), ..life(what) };
        self.keep_of_child(doing, record.into());
    }

    fn stderr(&mut self, doing: &Doing, line: &Bytes) {
        let cleaned = self.line(doing, Pipe::Stderr, &String::from_utf8_lossy(line));
        let mut record = Record { k: record::Kind::Stderr, sz: Some(line.len() as u64), ..from_child() };
        record.text = is_kept(doing, line).then_some(cleaned.into());
        self.keep_of_child(doing, record.into());
    }

    fn stray(&mut self, doing: &Doing, line: &Bytes) {
        let record = Record { k: record::Kind::Raw, sz: Some(line.len() as u64), ..from_child() };
        let cleaned = match std::str::from_utf8(line) {
            Ok(text) => self.line(doing, Pipe::Stdout, text).into_bytes(),
            Err(_) => self.message(doing, line).0.into_owned(),
        };
        if !is_kept(doing, line) {
            return self.keep_of_child(doing, record.into());
        }
        match String::from_utf8(cleaned) {
            Ok(text) if text.len() <= BLOB_BYTES_MIN => {
                self.keep_of_child(doing, Record { text: Some(text.into()), ..record }.into());
            }
            Ok(text) => self.keep_of_child(doing, Draft { record, message: Some(Message::bytes(text.as_bytes())) }),
            Err(bytes) => self.keep_of_child(doing, Draft { record, message: Some(Message::bytes(bytes.as_bytes())) }),
        }
    }

    /// A message on one side of a shared child.
    fn passed(&mut self, doing: &Doing, record: Record<'static>, bytes: &Bytes) {
        // The number that stands for the client's id may have made it longer than a client may send.
        let limits = Limits { size: usize::MAX, ..Limits::default() };
        let read = Envelope::read(bytes.clone(), limits).ok();
        let mut record: Record<'_> = Record { sz: Some(bytes.len() as u64), ..record };
        if let Some(message) = &read {
            name(&mut record, message);
        }
        let is_kept = is_kept(doing, bytes);
        let (cleaned, removed) = match is_kept || self.has_own_places(doing) {
            true => self.message(doing, bytes),
            false => (Cow::Borrowed(&**bytes), Vec::new()),
        };
        let names = Names::left(&cleaned, &removed);
        if let Some(names) = &names {
            record.id = names.id.as_deref();
            record.m = names.method.as_deref().map(Cow::Borrowed);
            record.name = names.subject.as_deref().map(Cow::Borrowed);
        }
        record.m = record.m.map(|method| self.cleaned(doing, &method).into());
        record.name = record.name.map(|name| self.cleaned(doing, &name).into());
        let id = record.id.and_then(|id| self.cleaned_id(doing, id));
        record.id = id.as_deref().or(record.id);
        if !is_kept {
            return self.keep_of_child(doing, record.into());
        }
        record.red = removed;
        self.keep_of_child(doing, Draft { record, message: Some(Message::of(&cleaned)) });
    }

    /// Completes a record and keeps it, if its tape is among those that are kept.
    fn keep_of_child(&mut self, doing: &Doing, draft: Draft<'_>) {
        let Draft { mut record, message } = draft;
        let session = self.children.session_of(doing.child);
        let session = session.as_ref().and_then(|begin| std::str::from_utf8(begin).ok());
        let tape = match session {
            Some(session) => session.to_owned(),
            None => format!("u-{}-{}-{}", doing.source.upstream, doing.child, self.instance),
        };
        if share(&tape) >= u64::from(doing.terms.sample_percent) {
            return;
        }
        record.t = u64::try_from(doing.at.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX);
        record.tape = Some(tape.into());
        record.session = session.map(Cow::Borrowed);
        record.recording = doing.terms.recordings.first().map(|recording| recording.name.as_str().into());
        record.upstream = Some((&*doing.source.upstream).into());
        record.endpoint = Some((&*doing.source.endpoint).into());
        record.version = (doing.terms.version > 0).then_some(doing.terms.version);
        self.keep(record, message);
    }
}

/// What is blotted out: all that any of the recordings says.
impl Framer {
    /// A text that stands alone.
    fn cleaned(&mut self, doing: &Doing, text: &str) -> String {
        let clean = |text: String, recording| self.secrets.of(recording).redactor().text(&text).into_owned();
        doing.terms.recordings.iter().fold(text.to_owned(), clean)
    }

    fn cleaned_id(&mut self, doing: &Doing, id: &RawValue) -> Option<Box<RawValue>> {
        let clean = |cleaned: Option<Box<RawValue>>, recording| {
            let redactor = self.secrets.of(recording).redactor();
            cleaned_id(&redactor, cleaned.as_deref().unwrap_or(id)).or(cleaned)
        };
        doing.terms.recordings.iter().fold(None, clean)
    }

    /// Whether a message has to be read for what stands beside it.
    fn has_own_places(&mut self, doing: &Doing) -> bool {
        doing.terms.recordings.iter().any(|recording| self.secrets.of(recording).redactor().has_own_places())
    }

    /// The next line of a pipe.
    fn line(&mut self, doing: &Doing, pipe: Pipe, line: &str) -> String {
        let streams = self.children.streams(doing.child, (pipe, doing.holes), doing.terms.recordings.len());
        let pairs = doing.terms.recordings.iter().zip(streams);
        pairs
            .fold(line.to_owned(), |line, (recording, words)| words.line(&self.secrets.of(recording).redactor(), &line))
    }

    /// A message, or bytes that are no text, and what was removed.
    fn message<'a>(&mut self, doing: &Doing, bytes: &'a [u8]) -> (Cow<'a, [u8]>, Vec<Redacted<'static>>) {
        let (mut bytes, mut removed) = (Cow::Borrowed(bytes), Vec::new());
        for recording in &doing.terms.recordings {
            let cleaned = self.secrets.of(recording).redactor().message(&bytes);
            removed.extend(cleaned.removed);
            if let Cow::Owned(cleaned) = cleaned.bytes {
                bytes = Cow::Owned(cleaned);
            }
        }
        (bytes, removed)
    }
}

/// Whether the words themselves are recorded, and not only that they were said.
fn is_kept(doing: &Doing, said: &Bytes) -> bool {
    doing.terms.capture == Capture::Full && said.len() as u64 <= doing.terms.max_message
}

fn life(what: &'static str) -> Record<'static> {
    Record { k: record::Kind::Life, dir: Some(Direction::Local), life: Some(what.into()), ..Record::default() }
}

fn from_child() -> Record<'static> {
    Record { dir: Some(Direction::S2c), stage: Some(Stage::Rx), ..Record::default() }
}

fn passed(direction: Direction, stage: Stage, exchange: Option<u64>) -> Record<'static> {
    Record { dir: Some(direction), stage: Some(stage), xchg: exchange, ..Record::default() }
}

/// How a child ended, and who wanted it.
fn ending(status: Option<ExitStatus>, why: ExitReason) -> String {
    let how = status.map_or_else(|| "nobody can say how".to_owned(), |status| status.to_string());
    match why {
        ExitReason::Itself => how,
        ExitReason::Stopped => format!("{how}, stopped by the gateway"),
        ExitReason::LineTooLong => format!("{how}, stopped because it wrote a line longer than any message"),
    }
}
