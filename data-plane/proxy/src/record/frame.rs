//! From what was handed over to a record.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;
use shadowcat_config::{Capture, Recording};
use shadowcat_mcp::{Envelope, Id, Kind, Limits};
use shadowcat_tape::line::Message;
use shadowcat_tape::record::{self, Direction, Outcome, Record, Stage, Text};

use super::call::{Asked, CallContext, Gathered, Headers, Response, Said, Saying, Told};
use super::child_tapes::Children;
use super::facts;
use super::links::{Links, Name, Scope};
use super::live::Followed;
use super::names::Names;
use super::paused::Paused;
use super::secrets::Secrets;
use super::sink::TapeSink;

/// Makes records, and gives them to a sink.
pub(super) struct Framer {
    pub(super) sink: Box<dyn TapeSink>,
    pub(super) secrets: Secrets,
    pub(super) began: Instant,
    /// Ends the names of tapes that are connections: the beginning of the instance.
    pub(super) instance: Box<str>,
    pub(super) links: Links,
    pub(super) paused: Paused,
    pub(super) children: Children,
    pub(super) followed: Arc<Followed>,
}

/// What a frame is about, beside its context.
pub(super) struct Content<'a> {
    pub(super) at: Instant,
    /// The message, or what came in its place.
    pub(super) bytes: Option<&'a [u8]>,
    pub(super) form: Form,
    /// What HTTP said beside it.
    pub(super) headers: Option<&'a Headers>,
}

impl<'a> Content<'a> {
    /// Without a message.
    pub(super) const fn none(at: Instant) -> Self {
        Self { at, bytes: None, form: Form::Unknown, headers: None }
    }

    /// A message that was read as one.
    const fn json(at: Instant, bytes: &'a [u8]) -> Self {
        Self { at, bytes: Some(bytes), form: Form::Json, headers: None }
    }

    /// What came where a message was due.
    const fn raw(at: Instant, bytes: &'a [u8]) -> Self {
        Self { at, bytes: Some(bytes), form: Form::Unknown, headers: None }
    }

    const fn beside(self, headers: Option<&'a Headers>) -> Self {
        Self { headers, ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Unknown,
}

impl Framer {
    /// The client's side of an exchange.
    pub(super) fn opened(&mut self, call: &CallContext) {
        let told = &mut *call.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = Record { dir: Some(Direction::C2s), stage: Some(Stage::Rx), ..Record::default() };
        let (method, path) = (Some(call.method.as_str().into()), Some((&*call.route.path).into()));
        record.http = Some(record::Http { method, path, ..record::Http::default() });
        let headers = Some(&call.headers);
        let seq = match &call.request {
            Asked::Nothing => {
                record.k = record::Kind::Http;
                self.write(call, told, record, &Content::none(call.began).beside(headers))
            }
            Asked::Raw(bytes) => {
                record.k = record::Kind::Raw;
                self.write(call, told, record, &Content::raw(call.began, bytes).beside(headers))
            }
            Asked::Message(message) => {
                name(&mut record, message);
                let linked = self.operation_of(call, message);
                (record.op, record.op_link) = (linked.operation, linked.link);
                let content = Content::json(call.began, message.body()).beside(headers);
                let seq = self.write(call, told, record, &content);
                told.operation = linked.operation.or(Some(seq));
                self.remember_request(call, message, seq, told);
                seq
            }
        };
        told.request = Some(seq);
        self.children.remember(call.exchange, seq, told.operation);
        self.children.opened(call);
    }

    /// Something of the server's side.
    pub(super) fn said(&mut self, saying: &Saying) {
        let Saying { call, at, said } = saying;
        let told = &mut *call.told.lock().unwrap_or_else(PoisonError::into_inner);
        match said {
            Said::Answer(message, head) => self.answer(call, told, message, (*at, Some(head))),
            Said::Event(data, read) => self.event(call, told, *at, (data, read.as_ref())),
            Said::Large(gathered, head) => self.large(call, told, *at, (gathered, head)),
            Said::Rejected(bytes) => {
                let record = Record { k: record::Kind::Raw, re: told.request, op: told.operation, ..from_server() };
                self.write(call, told, record, &Content::raw(*at, bytes));
            }
            Said::Refusal { json, kind } => {
                let mut record = self.ending(call, told, *at, facts::refused(*kind));
                (record.stage, record.code) = (Some(Stage::Tx), Some(i64::from(kind.code())));
                let id = call.asked().and_then(Envelope::id);
                record.id = id.and_then(raw);
                self.write(call, told, record, &Content::json(*at, json));
            }
            Said::Receipt(head) => {
                let record = self.ending(call, told, *at, Outcome::HttpError);
                let record = Record { k: record::Kind::Http, http: Some(of_answer(head)), ..record };
                self.write(call, told, record, &Content::none(*at).beside(Some(&head.headers)));
            }
            Said::Listens => self.listens(call, told, *at, "listen_opened"),
            Said::ListensNoMore => self.listens(call, told, *at, "listen_closed"),
            Said::Resumes(request) => self.resume(call, told, request),
            Said::Paused => self.pause(call, told, *at),
            Said::Ended => self.ended(call, told, *at),
        }
    }

    /// A record that ends the call: the exchange's own, or the one whose stream it goes on with.
    pub(super) fn ending(
        &mut self,
        call: &CallContext,
        told: &mut Told,
        at: Instant,
        outcome: Outcome,
    ) -> Record<'static> {
        told.concluded = true;
        let mut record = Record { re: told.request, op: told.operation, out: Some(outcome), ..from_server() };
        let of = match &told.resumed {
            Some(resumed) => resumed.call().map(|call| &**call),
            None => Some(call),
        };
        // Of a call that another instance has recorded nothing is known but how it ended.
        let Some(of) = of else { return record };
        if let Some(request) = of.asked() {
            self.forget_request(of, request);
        }
        if let Some(request) = of.asked().filter(|_| told.resumed.is_some()) {
            let (method, name) = called(told, request);
            (record.m, record.name) = (method.map(owned), name.map(owned));
        }
        record.lat = Some(u64::try_from(at.saturating_duration_since(of.began).as_micros()).unwrap_or(u64::MAX));
        record
    }

    fn answer(&mut self, call: &CallContext, told: &mut Told, message: &Envelope, seen: (Instant, Option<&Response>)) {
        let (at, head) = seen;
        let (outcome, code) = facts::outcome(message);
        let mut record = self.ending(call, told, at, outcome);
        record.code = code;
        record.id = message.id().and_then(raw);
        record.http = head.map(of_answer);
        let of = told.resumed.as_ref().and_then(|resumed| resumed.call()).map_or(call, |call| &**call);
        self.remember_answer(of, told.operation, message);
        self.write(call, told, record, &Content::json(at, message.body()).beside(head.map(|head| &head.headers)));
    }

    /// The data of an event.
    fn event(&mut self, call: &CallContext, told: &mut Told, at: Instant, event: (&Bytes, Option<&Envelope>)) {
        let (data, read) = event;
        let own = match read {
            Some(_) => None,
            None => Envelope::read(data.clone(), Limits::default()).ok(),
        };
        let Some(message) = read.or(own.as_ref()) else {
            let record = Record { k: record::Kind::Raw, op: told.operation, ..from_server() };
            self.write(call, told, record, &Content::raw(at, data));
            return;
        };
        let is_answer = matches!(message.kind(), Kind::Response | Kind::ErrorResponse);
        let is_awaited = match &told.resumed {
            Some(resumed) => resumed.awaits(message.id()),
            None => call.asked().is_some_and(|asked| same(asked.id(), message.id())),
        };
        if is_answer && !told.concluded && is_awaited {
            return self.answer(call, told, message, (at, None));
        }
        let mut record = from_server();
        name(&mut record, message);
        let linked = self.operation_of_event(call, told, message);
        (record.op, record.op_link) = (linked.operation, linked.link);
        let seq = self.write(call, told, record, &Content::json(at, data));
        if message.kind() == Kind::Request
            && let Some(id) = message.id()
        {
            let operation = linked.operation.unwrap_or(seq);
            self.links.remember(Scope::Tape(call.tape(&self.instance)), Name::AskedByServer(id.as_json()), operation);
        }
    }

    /// The beginning or the end of a stream that answers nothing.
    fn listens(&mut self, call: &CallContext, told: &mut Told, at: Instant, what: &'static str) {
        let (k, dir) = (record::Kind::Life, Some(Direction::Local));
        let record = Record { k, dir, life: Some(what.into()), op: told.request, ..Record::default() };
        self.write(call, told, record, &Content::none(at));
    }

    /// An answer that passed as it came.
    fn large(&mut self, call: &CallContext, told: &mut Told, at: Instant, large: (&Gathered, &Response)) {
        let (gathered, head) = large;
        let whole = gathered.whole.then(|| joined(gathered));
        let message = whole.and_then(|bytes| Envelope::read(bytes, Limits::default()).ok());
        if let Some(message) = message {
            return self.answer(call, told, &message, (at, Some(head)));
        }
        let record = self.ending(call, told, at, Outcome::Unknown);
        let record = Record { sz: Some(gathered.size), http: Some(of_answer(head)), ..record };
        self.write(call, told, record, &Content::none(at).beside(Some(&head.headers)));
    }

    /// Completes a record and hands it to the sink; its place in the order.
    pub(super) fn write<'a>(
        &mut self,
        call: &'a CallContext,
        told: &mut Told,
        mut record: Record<'a>,
        content: &Content<'a>,
    ) -> u64 {
        let recording: &Recording = &call.route.recording;
        record.t = u64::try_from(content.at.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX);
        record.tape = Some(call.tape(&self.instance).into());
        (record.conn, record.xchg) = (Some(call.connection), Some(call.exchange));
        let cleaner = self.secrets.of(&call.route.recording);
        let redactor = cleaner.redactor();
        record.sz = content.bytes.map(|bytes| bytes.len() as u64).or(record.sz);
        let is_kept = recording.capture == Capture::Full && record.sz <= Some(recording.max_message);
        let read = content.bytes.filter(|_| is_kept || cleaner.needs_message(content.headers));
        let mut cleaned = read.map(|bytes| redactor.message(bytes));
        let removed = cleaned.as_mut().map(|cleaned| std::mem::take(&mut cleaned.removed)).unwrap_or_default();
        let names = cleaned.as_ref().and_then(|cleaned| Names::left(&cleaned.bytes, &removed));

        let is_answer = record.dir != Some(Direction::C2s) && record.re.is_some();
        let (mut method, mut name) = (record.m.take(), record.name.take());
        match (call.asked(), &names) {
            // An answer goes by the names of its request, which has another exchange where its client came back for it.
            (Some(asked), _) if is_answer => {
                let (of_request, named) = called(told, asked);
                (method, name) = (method.or(of_request), name.or(named));
            }
            (_, Some(own)) if !is_answer => {
                (method, name) = (own.method.as_deref().map(Cow::Borrowed), own.subject.as_deref().map(Cow::Borrowed));
            }
            _ => {}
        }
        let [method, name] = [method, name].map(|name| Some(cleaner.name(&name?)));
        let headers = content.headers.map(|headers| cleaner.headers(headers, &removed)).unwrap_or_default();
        let id = match &names {
            Some(names) => names.id.as_deref(),
            None => record.id,
        };
        let clean = id.and_then(|id| cleaner.id(id));
        if record.dir == Some(Direction::C2s) {
            told.names = names.clone().map(Box::new);
        }
        let mut record: Record<'_> = record;
        record.id = clean.as_deref().or(id);
        (record.m, record.name) = (method.as_deref().map(Cow::Borrowed), name.as_deref().map(Cow::Borrowed));
        if let Some(http) = &mut record.http {
            http.headers = headers.iter().map(|(name, value)| ((*name).into(), (&**value).into())).collect();
        }
        record.route = Some((&*call.route.name).into());
        record.recording = Some(recording.name.as_str().into());
        record.upstream = Some((&*call.route.upstream).into());
        record.endpoint = Some((&*call.route.endpoint).into());
        record.session = call.session().map(Cow::Borrowed);
        record.version = (call.version > 0).then_some(call.version);
        record.era = call.era.map(Cow::Borrowed);
        record.tp = call.trace.as_ref().and_then(|trace| std::str::from_utf8(trace).ok()).map(Cow::Borrowed);
        let Some(cleaned) = cleaned.filter(|_| is_kept) else { return self.keep(record, None) };
        record.red = removed;
        let message = match content.form {
            Form::Json => Message::of_json(&cleaned.bytes),
            Form::Unknown => Message::of(&cleaned.bytes),
        };
        self.keep(record, Some(message))
    }

    /// To the sink, and to whoever follows.
    pub(super) fn keep(&mut self, record: Record<'_>, message: Option<Message<'_>>) -> u64 {
        if !self.followed.is_wanted() {
            return self.sink.append(record, message);
        }
        let seq = self.sink.append(record.clone(), message);
        self.followed.tell_record(&Record { seq, ..record }, message);
        seq
    }
}

fn of_answer(head: &Response) -> record::Http<'static> {
    record::Http { status: Some(head.status.as_u16()), ..record::Http::default() }
}

/// A record of what the server said, before more is known of it.
fn from_server() -> Record<'static> {
    Record { dir: Some(Direction::S2c), stage: Some(Stage::Rx), ..Record::default() }
}

/// Names the record as its message does.
pub(super) fn name<'a>(record: &mut Record<'a>, message: &'a Envelope) {
    record.id = message.id().and_then(raw);
    record.m = message.method().map(Cow::Borrowed);
    record.name = subject(message).map(Cow::Borrowed);
}

/// The method and the subject of the request of an exchange, as they may be told.
fn called<'a>(told: &'a Told, request: &'a Envelope) -> (Option<Text<'a>>, Option<Text<'a>>) {
    match &told.names {
        Some(names) => (names.method.as_deref().map(Cow::Borrowed), names.subject.as_deref().map(Cow::Borrowed)),
        None => (request.method().map(Cow::Borrowed), subject(request).map(Cow::Borrowed)),
    }
}

fn owned(text: Text<'_>) -> Text<'static> {
    Cow::Owned(text.into_owned())
}

/// What a request is about: its tool, prompt, resource or task.
pub(super) fn subject(message: &Envelope) -> Option<&str> {
    message.name().or_else(|| message.uri()).or_else(|| message.task_id())
}

/// Whether two ids are one and the same: `1` is not `"1"`.
pub(super) fn same(one: Option<Id<'_>>, other: Option<Id<'_>>) -> bool {
    one.is_some() && one.map(Id::to_owned) == other.map(Id::to_owned)
}

fn raw(id: Id<'_>) -> Option<&RawValue> {
    serde_json::from_str(id.as_json()).ok()
}

fn joined(gathered: &Gathered) -> Bytes {
    match &*gathered.parts {
        [one] => one.clone(),
        parts => {
            let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
            parts.iter().for_each(|part| whole.extend_from_slice(part));
            whole.freeze()
        }
    }
}
