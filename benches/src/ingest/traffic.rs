//! What a simulated node records: calls of tools in sessions, as a data plane in front of some busy servers records them.
//!
//! Every call is two frames, a request and its answer, whose texts are made of random words, so that they compress about as
//! ordinary JSON does.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fastrand::Rng;
use serde_json::value::RawValue;
use shadowcat_proto::fleet::v1::SegmentOffer;
use shadowcat_tape::line::{Message, encode, encode_message};
use shadowcat_tape::record::{Direction, Head, Http, Kind, Outcome, Record, Stage};
use shadowcat_tape::segment::seal;

/// Where a node seals: 1 MiB of plain text.
const SEAL_BYTES: usize = 1024 * 1024;

/// Tools of all servers together. The first ones are called most.
pub(super) const TOOLS: u32 = 200;

/// Routes, each to an upstream of its own.
const ROUTES: u32 = 10;

/// Calls of a session.
const CALLS_OF_SESSION: u32 = 20;

/// Of a hundred calls, those that are part of a trace.
const TRACED_PERCENT: u32 = 30;

/// How calls end, and how many of a thousand.
pub(super) const OUTCOMES: [(Outcome, u32); 5] = [
    (Outcome::Ok, 960),
    (Outcome::ToolError, 25),
    (Outcome::RpcError, 10),
    (Outcome::Timeout, 3),
    (Outcome::Refused, 2),
];

/// Words that texts are made of.
const WORDS: u32 = 4_096;

/// Words of a question, and of an answer.
const WORDS_ASKED: u32 = 8;
const WORDS_TOLD: u32 = 40;

/// A sealed segment.
pub(super) struct Sealed {
    pub(super) offer: SegmentOffer,
    pub(super) bytes: Bytes,
    pub(super) frames: u64,
    pub(super) plain_bytes: u64,
    pub(super) example: Example,
}

/// One of the calls that were recorded.
#[derive(Debug, Clone, Default)]
pub(super) struct Example {
    pub(super) session: String,
    pub(super) trace: String,
}

/// One boot of a node.
pub(super) struct Recorder {
    node: String,
    instance: String,
    random: Rng,
    began: Instant,
    /// Nanoseconds since 1970 when it began.
    clock: u64,
    segment: u64,
    seq: u64,
    /// Microseconds from the beginning to the record before.
    last: u64,
    session: String,
    calls_left: u32,
}

/// What the two frames of a call have in common.
struct Call {
    number: u64,
    id: Box<RawValue>,
    tool: String,
    route: String,
    upstream: String,
    endpoint: String,
    trace: Option<String>,
    outcome: Outcome,
}

impl Recorder {
    /// One that records the same with the same seed, but for its times.
    pub(super) fn new(node: String, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            node,
            instance: format!("{:032x}", random.u128(..)),
            random,
            began: Instant::now(),
            clock: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
            segment: 0,
            seq: 0,
            last: 0,
            session: String::new(),
            calls_left: 0,
        }
    }

    /// Its id.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Records until a segment is full.
    pub(super) fn seal(&mut self) -> anyhow::Result<Sealed> {
        self.segment += 1;
        let mut plain = Vec::with_capacity(SEAL_BYTES + 4_096);
        let first_record = self.seq + 1;
        let head = self.head();
        encode(&head, &mut plain);
        let mut example = Example::default();
        let mut frames = 0;
        while plain.len() < SEAL_BYTES {
            let call = self.call();
            if let Some(trace) = &call.trace {
                example = Example { session: self.session.clone(), trace: trace.clone() };
            }
            self.record(&call, &mut plain);
            frames += 2;
        }
        let mut sealed = Vec::new();
        seal(&plain, &mut sealed)?;
        let offer = SegmentOffer {
            instance: self.instance.clone(),
            sequence: self.segment,
            bytes: u32::try_from(sealed.len())?,
            digest: Bytes::copy_from_slice(blake3::hash(&sealed).as_bytes()),
            first_record,
            last_record: self.seq,
            blobs: Vec::new(),
        };
        Ok(Sealed { offer, bytes: sealed.into(), frames, plain_bytes: plain.len() as u64, example })
    }

    fn head(&mut self) -> Record<'static> {
        let (seq, t) = self.next();
        let head = Head {
            format: (1, 0),
            instance: self.instance.clone().into(),
            segment: self.segment,
            node: self.node.clone().into(),
            created_by: concat!("shadowcat ", env!("CARGO_PKG_VERSION")).into(),
            clock: self.clock,
            ..Head::default()
        };
        Record { k: Kind::Head, seq, t, head: Some(head), ..Record::default() }
    }

    /// The place and the time of the next record. No two are made at once, so that their order is that of their times.
    fn next(&mut self) -> (u64, u64) {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.seq += 1;
        self.last = now.max(self.last + 1);
        (self.seq, self.last)
    }

    fn call(&mut self) -> Call {
        if self.calls_left == 0 {
            self.session = format!("{:08x}", self.random.u32(..));
            self.calls_left = CALLS_OF_SESSION;
        }
        self.calls_left -= 1;
        // The smaller of two is small more often.
        let tool = self.random.u32(..TOOLS).min(self.random.u32(..TOOLS));
        let route = tool % ROUTES;
        let traced = self.random.u32(..100) < TRACED_PERCENT;
        let id = format!("{}", CALLS_OF_SESSION - self.calls_left);
        Call {
            number: self.seq,
            id: RawValue::from_string(id).expect("a number is JSON"),
            tool: tool_name(tool),
            route: format!("route-{route}"),
            upstream: format!("server-{route}"),
            endpoint: format!("http://10.0.0.{route}:3001/mcp"),
            trace: traced.then(|| format!("{:032x}", self.random.u128(..))),
            outcome: self.outcome(),
        }
    }

    fn outcome(&mut self) -> Outcome {
        let mut place = self.random.u32(..1_000);
        for (outcome, share) in OUTCOMES {
            if place < share {
                return outcome;
            }
            place -= share;
        }
        Outcome::Ok
    }

    fn record(&mut self, call: &Call, plain: &mut Vec<u8>) {
        let asked = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"{}","arguments":{{"query":"{}","limit":{}}}}}}}"#,
            call.id,
            call.tool,
            self.words(WORDS_ASKED),
            self.random.u32(1..100),
        );
        let (seq, t) = self.next();
        let http = Http { method: Some("POST".into()), path: Some("/mcp".into()), ..Http::default() };
        let request = Record {
            seq,
            t,
            dir: Some(Direction::C2s),
            http: Some(http),
            sz: Some(asked.len() as u64),
            ..self.common(call)
        };
        encode_message(&request, Message::of_json(asked.as_bytes()), plain);

        let told = self.told(call);
        let (answered, t) = self.next();
        let latency = 200 << self.random.u32(..12);
        let answer = Record {
            seq: answered,
            t,
            dir: Some(Direction::S2c),
            op: Some(seq),
            re: Some(seq),
            lat: Some(self.random.u64(latency..2 * latency)),
            out: Some(call.outcome),
            code: (call.outcome == Outcome::RpcError).then_some(-32_602),
            http: Some(Http { status: Some(200), ..Http::default() }),
            sz: Some(told.len() as u64),
            ..self.common(call)
        };
        encode_message(&answer, Message::of_json(told.as_bytes()), plain);
    }

    fn told(&mut self, call: &Call) -> String {
        if call.outcome == Outcome::RpcError {
            let why = self.words(WORDS_ASKED);
            return format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32602,"message":"{why}"}}}}"#, call.id);
        }
        let is_error = call.outcome != Outcome::Ok;
        format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[{{"type":"text","text":"{}"}}],"isError":{is_error}}}}}"#,
            call.id,
            self.words(WORDS_TOLD),
        )
    }

    fn common<'a>(&'a self, call: &'a Call) -> Record<'a> {
        Record {
            stage: Some(Stage::Rx),
            tape: Some(self.session.as_str().into()),
            conn: Some(call.number / 100),
            xchg: Some(call.number),
            id: Some(&call.id),
            m: Some("tools/call".into()),
            name: Some(call.tool.as_str().into()),
            route: Some(call.route.as_str().into()),
            recording: Some("default".into()),
            upstream: Some(call.upstream.as_str().into()),
            endpoint: Some(call.endpoint.as_str().into()),
            session: Some(self.session.as_str().into()),
            version: Some(1),
            era: Some("2025-11-25".into()),
            tp: call.trace.as_deref().map(Into::into),
            ..Record::default()
        }
    }

    fn words(&mut self, count: u32) -> String {
        let words: Vec<_> = (0..count).map(|_| word(self.random.u32(..WORDS))).collect();
        words.join(" ")
    }
}

/// The tool of this number.
pub(super) fn tool_name(number: u32) -> String {
    format!("tool_{number}")
}

/// The word of this number: up to four syllables.
fn word(mut number: u32) -> String {
    const SYLLABLES: [&str; 8] = ["ra", "to", "mi", "len", "sor", "ka", "vi", "dun"];
    let mut word = String::new();
    loop {
        word.push_str(SYLLABLES[number as usize % SYLLABLES.len()]);
        number /= SYLLABLES.len() as u32;
        if number == 0 {
            return word;
        }
    }
}

#[cfg(test)]
mod tests {
    use shadowcat_tape::segment::{Found, Scan, unseal};

    use super::*;

    #[test]
    fn a_segment_holds_what_its_offer_says() {
        let mut recorder = Recorder::new("node-1".to_owned(), 7);
        let first = recorder.seal().unwrap().offer;
        let sealed = recorder.seal().unwrap();
        let unsealed = unseal(&sealed.bytes, 2 * SEAL_BYTES).unwrap();
        let lines: Vec<_> = Scan::new(&unsealed.plain).map(Result::unwrap).collect();
        let places: Vec<_> = lines
            .iter()
            .map(|found| match found {
                Found::Record(line) => line.record.seq,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(places, (first.last_record + 1..=sealed.offer.last_record).collect::<Vec<_>>());
        assert_eq!((sealed.frames, sealed.offer.first_record), (lines.len() as u64 - 1, places[0]));
        assert_eq!(sealed.plain_bytes, unsealed.plain.len() as u64);
        assert!(!sealed.example.session.is_empty() && sealed.example.trace.len() == 32);
    }

    #[test]
    fn calls_end_in_every_way_of_which_there_are_a_thousand() {
        assert_eq!(OUTCOMES.iter().map(|(_, share)| share).sum::<u32>(), 1_000);
    }
}
