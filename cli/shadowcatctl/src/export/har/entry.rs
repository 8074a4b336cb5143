//! One call as an entry.

use pbjson_types::Timestamp;
use serde_json::{Map, Value, json};
use shadowcat_proto::admin::v1::Frame;
use shadowcat_tape::record::{Http, Outcome, Record};

use crate::args::written;

const MILLISECOND_MICROSECONDS: f64 = 1000.0;

/// What an answer has whose record keeps no status: whoever answered in JSON-RPC answered.
const ANSWERED: u16 = 200;

/// What a call has that got no answer, as browsers write it.
const UNANSWERED: u16 = 0;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Text(String),
    /// It is no UTF-8; in base64.
    Bytes(String),
    /// The recording keeps no content, or it is lost.
    Nothing,
}

impl From<Vec<u8>> for Said {
    fn from(bytes: Vec<u8>) -> Self {
        use base64::Engine;
        String::from_utf8(bytes)
            .map_or_else(|error| Self::Bytes(base64::prelude::BASE64_STANDARD.encode(error.as_bytes())), Self::Text)
    }
}

impl Said {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Bytes(text) => text.len(),
            Self::Nothing => 0,
        }
    }

    /// As members of HAR's `postData` and `content`.
    fn members(self, mime_type: &str) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("mimeType".to_owned(), mime_type.into());
        match self {
            Self::Text(text) => drop(members.insert("text".to_owned(), text.into())),
            Self::Bytes(base64) => {
                members.insert("text".to_owned(), base64.into());
                members.insert("encoding".to_owned(), "base64".into());
            }
            Self::Nothing => drop(members.insert("comment".to_owned(), "not recorded".into())),
        }
        members
    }
}

/// A call, from its request on.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) frame: Frame,
    /// What it holds in memory, about.
    pub(super) bytes: usize,
    /// Its `seq`, by which its answer names it.
    pub(super) seq: u64,
    headers: Value,
    said: Said,
    between: Vec<Value>,
}

impl Exchange {
    pub(super) fn new(frame: Frame, record: &Record<'_>, said: Said) -> Self {
        let headers = headers(record.http.as_ref());
        Self { bytes: said.len() + size_of::<Self>(), frame, seq: record.seq, headers, said, between: Vec::new() }
    }

    /// Adds a message that passed before the answer; how many bytes more are held.
    pub(super) fn add(&mut self, frame: &Frame, said: Said) -> usize {
        let bytes = said.len() + size_of::<Value>();
        self.bytes += bytes;
        let mut message = said.members("application/json");
        message.insert("direction".to_owned(), frame.direction.as_str().into());
        message.insert("startedDateTime".to_owned(), moment(frame.at.as_ref()).into());
        self.between.push(message.into());
        bytes
    }

    /// The entry, with the answer if there is one.
    pub(super) fn entry(self, answer: Option<(&Frame, &Record<'_>, Said)>) -> Value {
        let latency = answer.as_ref().and_then(|(frame, record, _)| frame.latency_us.or(record.lat)).unwrap_or(0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds with a fraction are what HAR has; 2^53 µs are 285 years"
        )]
        let milliseconds = latency as f64 / MILLISECOND_MICROSECONDS;
        let Self { frame, headers, said, between, .. } = self;
        json!({
            "startedDateTime": moment(frame.at.as_ref()),
            "time": milliseconds,
            "request": {
                "method": "POST",
                "url": url(&frame),
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": headers,
                "queryString": [],
                "headersSize": -1,
                "bodySize": frame.size,
                "postData": said.members("application/json"),
            },
            "_shadowcat": {
                "tape": frame.tape,
                "call": frame.id,
                "operation": frame.operation,
                "answer": answer.as_ref().map(|(frame, ..)| frame.id.clone()),
                "outcome": answer.as_ref().map(|(frame, record, _)| outcome(frame, record)),
                "node": frame.node,
                "route": frame.route,
                "upstream": frame.upstream,
                "trace": frame.trace,
            },
            "response": response(answer),
            "cache": {},
            "timings": { "send": 0, "wait": milliseconds, "receive": 0 },
            "_mcpMessages": between,
        })
    }
}

fn response(answer: Option<(&Frame, &Record<'_>, Said)>) -> Value {
    let (status, headers, size, content) = match answer {
        Some((frame, record, said)) => {
            let unsaid = if said == Said::Nothing && record.re.is_none() { UNANSWERED } else { ANSWERED };
            let status = record.http.as_ref().and_then(|http| http.status).unwrap_or(unsaid);
            (status, headers(record.http.as_ref()), frame.size, said)
        }
        None => (UNANSWERED, json!([]), 0, Said::Nothing),
    };
    let mut content = content.members("application/json");
    content.insert("size".to_owned(), size.into());
    json!({
        "status": status,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": headers,
        "content": content,
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": size,
    })
}

fn headers(http: Option<&Http<'_>>) -> Value {
    let headers = http.into_iter().flat_map(|http| &http.headers);
    headers.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn outcome(frame: &Frame, record: &Record<'_>) -> String {
    if frame.outcome.is_empty() { record.out.map_or("", Outcome::as_str).to_owned() } else { frame.outcome.clone() }
}

fn moment(at: Option<&Timestamp>) -> String {
    at.and_then(written).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// Where the call went: the endpoint, or a URL of the same shape for a child that has none.
fn url(frame: &Frame) -> String {
    if frame.endpoint.starts_with("http://") || frame.endpoint.starts_with("https://") {
        return frame.endpoint.clone();
    }
    let named = [&frame.upstream, &frame.method, &frame.name];
    let parts: Vec<String> = named.into_iter().filter(|part| !part.is_empty()).map(|part| encoded(part)).collect();
    format!("mcp+stdio://{}", parts.join("/"))
}

/// `text` with everything percent-encoded but unreserved characters and the `/` of methods (RFC 3986, section 2).
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
