//! HTTP Archive 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>): an entry for each call, written when the call has ended.
//!
//! What HAR does not know is in members that begin with `_`, as it allows: `_mcpMessages` has what passed between request and answer,
//! `_shadowcat` where the call is found again. Upstreams that speak no HTTP get `mcp+stdio://<upstream>/<method>/<name>`. Messages
//! outside of calls, and what is no message, have no place in it and are counted.

mod entry;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};

use serde_json::{Value, json};
use shadowcat_proto::admin::v1::Frame;
use shadowcat_tape::line::decode;
use shadowcat_tape::record::{Direction, Kind, Outcome, Record};

use self::entry::{Exchange, Said};
use super::content::{Content, Messages};
use super::{Damage, Place, Sink, Written};
use crate::Failure;
use crate::output::count;
use crate::view::Recorded;

/// Bytes of requests that wait for their answers, and of what came meanwhile. Beyond it the oldest is written without an answer.
const OPEN_BYTES_MAX: usize = 256 * 1024 * 1024;

const END: &[u8] = b"\n]}}\n";

pub(super) struct HarSink {
    file: BufWriter<File>,
    entries: u64,
    messages: Messages,
    /// Calls without an answer yet, in the order in which they came.
    open: BTreeMap<u64, Exchange>,
    /// The open call that a request, or an operation, stands for: a call goes by both names.
    names: HashMap<Name, u64>,
    next: u64,
    open_bytes: usize,
    damage: Damage,
    cut: Damage,
    left_out: BTreeMap<String, u64>,
}

/// By what a later record says which call it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    /// The node, the instance, and `seq` of the request.
    Request(String, String, u64),
    /// The node, and the id of the frame that opened the operation.
    Operation(String, String),
}

impl Name {
    fn of_request(frame: &Frame, seq: u64) -> Self {
        Self::Request(frame.node.clone(), frame.instance.clone(), seq)
    }

    fn of_operation(frame: &Frame) -> Self {
        let opened_by = if frame.operation.is_empty() { &frame.id } else { &frame.operation };
        Self::Operation(frame.node.clone(), opened_by.clone())
    }
}

impl HarSink {
    pub(super) fn create(place: &Place) -> Result<Self, Failure> {
        let mut sink = Self {
            file: BufWriter::new(place.file()?),
            entries: 0,
            messages: Messages::default(),
            open: BTreeMap::new(),
            names: HashMap::new(),
            next: 0,
            open_bytes: 0,
            damage: Damage::default(),
            cut: Damage::default(),
            left_out: BTreeMap::new(),
        };
        let creator = json!({ "name": "shadowcatctl", "version": env!("CARGO_PKG_VERSION") });
        sink.put(format!("{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"entries\":[").as_bytes())?;
        Ok(sink)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|why| failure(&why))
    }

    fn write(&mut self, entry: &Value) -> Result<(), Failure> {
        self.put(if self.entries == 0 { b"\n" } else { b",\n" })?;
        self.entries += 1;
        self.put(entry.to_string().as_bytes())
    }

    /// The open call that a record belongs to.
    fn call_of(&self, frame: &Frame, record: &Record<'_>) -> Option<u64> {
        let answered = record.re.map(|request| Name::of_request(frame, request));
        answered.and_then(|name| self.names.get(&name)).or_else(|| self.names.get(&Name::of_operation(frame))).copied()
    }

    /// A request that waits for its answer. What says only its operation belongs to the last request of that.
    fn begin(&mut self, frame: &Frame, record: &Record<'_>, said: Said) -> Result<(), Failure> {
        let exchange = Exchange::new(frame.clone(), record, said);
        self.open_bytes += exchange.bytes;
        self.names.insert(Name::of_request(frame, record.seq), self.next);
        self.names.insert(Name::of_operation(frame), self.next);
        self.open.insert(self.next, exchange);
        self.next += 1;
        while self.open_bytes > OPEN_BYTES_MAX && self.open.len() > 1 {
            let Some((&oldest, _)) = self.open.first_key_value() else { break };
            let id = self.open[&oldest].frame.id.clone();
            self.cut.add(|| format!("the answer to {id} came too late"));
            self.end(oldest, None)?;
        }
        Ok(())
    }

    /// Writes a call, with its answer if it has one.
    fn end(&mut self, call: u64, answer: Option<(&Frame, &Record<'_>, Said)>) -> Result<(), Failure> {
        let Some(exchange) = self.open.remove(&call) else { return Ok(()) };
        self.open_bytes -= exchange.bytes;
        self.names.remove(&Name::of_request(&exchange.frame, exchange.seq));
        let operation = Name::of_operation(&exchange.frame);
        if self.names.get(&operation) == Some(&call) {
            self.names.remove(&operation);
        }
        let entry = exchange.entry(answer);
        self.write(&entry)
    }

    fn leave_out(&mut self, what: &str) {
        *self.left_out.entry(what.to_owned()).or_default() += 1;
    }

    fn message(&mut self, frame: &Frame, record: &Record<'_>, said: Said) -> Result<(), Failure> {
        let call = self.call_of(frame, record);
        let ends = record.re.is_some() || record.out.is_some_and(|outcome| outcome != Outcome::None);
        let asks = record.dir == Some(Direction::C2s) && record.id.is_some() && !ends;
        // What the client answers to a question ends that question, which is no call of the client.
        let answers = record.dir == Some(Direction::S2c) && ends;
        match call {
            Some(call) if answers => self.end(call, Some((frame, record, said))),
            _ if asks && record.of.is_none() => self.begin(frame, record, said),
            Some(call) => {
                if let Some(exchange) = self.open.get_mut(&call) {
                    self.open_bytes += exchange.add(frame, said);
                }
                Ok(())
            }
            None => {
                self.leave_out("message outside of calls");
                Ok(())
            }
        }
    }
}

impl Sink for HarSink {
    fn blob(&mut self, hash: &str, content: Vec<u8>) -> Result<(), Failure> {
        self.messages.hold(hash, content);
        Ok(())
    }

    fn record(&mut self, recorded: &Recorded) -> Result<(), Failure> {
        let frame = &recorded.frame;
        let record = match decode(&recorded.line) {
            Ok(record) => record,
            Err(why) => {
                self.damage.add(|| format!("{}: {why}", frame.id));
                return Ok(());
            }
        };
        let said = match self.messages.of(&record) {
            Content::Message(bytes) => Said::from(bytes),
            Content::None => Said::Nothing,
            Content::Lost(why) => {
                self.damage.add(|| format!("{}: {why}", frame.id));
                Said::Nothing
            }
        };
        match record.k {
            Kind::Msg => self.message(frame, &record, said),
            Kind::Life if record.out.is_some() => match self.call_of(frame, &record) {
                Some(call) => self.end(call, Some((frame, &record, said))),
                None => Ok(()),
            },
            Kind::Head | Kind::Clock | Kind::End => Ok(()),
            Kind::Gap => {
                self.leave_out("gap");
                Ok(())
            }
            _ => {
                self.leave_out("record without a message");
                Ok(())
            }
        }
    }

    fn finish(&mut self) -> Result<Written, Failure> {
        while let Some((&call, _)) = self.open.first_key_value() {
            self.end(call, None)?;
        }
        self.put(END)?;
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(|why| failure(&why))?;
        let damage = [self.damage.told("record"), self.cut.told("answer")];
        let left_out: Vec<String> = self.left_out.iter().map(|(what, number)| counted(*number, what)).collect();
        let left_out = (!left_out.is_empty()).then(|| format!("{}: HAR knows only calls", left_out.join(", ")));
        Ok(Written {
            items: self.entries,
            noun: "call",
            damage: damage.into_iter().flatten().collect(),
            left_out: left_out.into_iter().collect(),
        })
    }
}

/// `3 messages outside of calls`: the noun is the first word.
fn counted(number: u64, what: &str) -> String {
    let (noun, rest) = what.split_once(' ').unwrap_or((what, ""));
    format!("{} {rest}", count(number, noun)).trim_end().to_owned()
}

fn failure(why: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write the export: {why}"))
}
