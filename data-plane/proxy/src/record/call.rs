//! What all frames of one exchange share, and what is handed over of each.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use shadowcat_config::{Capture, Recording};
use shadowcat_mcp::header::{LAST_EVENT_ID, METHOD, NAME, PARAM_PREFIX, PROTOCOL_VERSION};
use shadowcat_mcp::{Envelope, ErrorKind};

use super::children::Doing;
use super::names::Names;
use super::paused::Resumed;
use crate::observe::SESSION_CHARS;

/// Headers that are recorded, and all that begin with [`PARAM_PREFIX`]. What is not here, `Authorization` and `Cookie` above all, is
/// never handed over.
const RECORDED: [HeaderName; 9] = [
    PROTOCOL_VERSION,
    METHOD,
    NAME,
    LAST_EVENT_ID,
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::USER_AGENT,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
];

/// What all exchanges of a recorded route share. It is made with the configuration, and an exchange counts one reference to it and not
/// five: the count goes up on a call's core and down on the recorder's.
#[derive(Debug)]
pub(crate) struct RecordedRoute {
    pub(crate) recording: Arc<Recording>,
    pub(crate) name: Arc<str>,
    pub(crate) path: Arc<str>,
    pub(crate) upstream: Arc<str>,
    pub(crate) endpoint: Arc<str>,
}

/// One exchange of a recorded route.
#[derive(Debug)]
pub(super) struct CallContext {
    pub(super) route: Arc<RecordedRoute>,
    /// The client's connection, numbered within the process.
    pub(super) connection: u64,
    /// This exchange, numbered within the instance.
    pub(super) exchange: u64,
    /// The beginning of its id, as logs show it.
    pub(super) session: Option<[u8; SESSION_CHARS]>,
    pub(super) trace: Option<[u8; 32]>,
    /// The protocol version in force.
    pub(super) era: Option<&'static str>,
    /// The number of the configuration's version; 0 for one that has none.
    pub(super) version: u64,
    pub(super) method: Method,
    pub(super) headers: Headers,
    /// When the request's head had arrived.
    pub(super) began: Instant,
    pub(super) request: Asked,
    /// The tape it belongs to, once somebody has asked.
    pub(super) tape: OnceLock<Box<str>>,
    /// What the thread has made of it so far. Nobody else looks.
    pub(super) told: Mutex<Told>,
}

impl CallContext {
    /// The tape that the exchange belongs to; `instance` tells connections of different boots apart.
    pub(super) fn tape(&self, instance: &str) -> &str {
        self.tape.get_or_init(|| match self.session() {
            Some(session) => session.into(),
            None => format!("c{}-{instance}", self.connection).into(),
        })
    }

    /// The beginning of the session's id.
    pub(super) fn session(&self) -> Option<&str> {
        std::str::from_utf8(self.session.as_ref()?).ok()
    }

    /// The client's message, if there is one.
    pub(super) fn asked(&self) -> Option<&Envelope> {
        match &self.request {
            Asked::Message(message) => Some(message),
            Asked::Nothing | Asked::Raw(_) => None,
        }
    }
}

/// What the client sent.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lies in the one allocation of its call, and nearly every call has a message"
)]
pub(super) enum Asked {
    /// No message: a GET, a DELETE.
    Nothing,
    Message(Envelope),
    /// What came where a message was due.
    Raw(Bytes),
}

impl Asked {
    /// Bytes that are held.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Message(message) => message.body().len(),
            Self::Raw(bytes) => bytes.len(),
        }
    }
}

/// What the thread knows of an exchange once its request is written.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// `seq` of the request.
    pub(super) request: Option<u64>,
    /// The operation it belongs to.
    pub(super) operation: Option<u64>,
    /// The frame that ends the call is written.
    pub(super) concluded: bool,
    /// The stream that the exchange goes on with.
    pub(super) resumed: Option<Resumed>,
    /// What its request is called by, where not as the request says.
    pub(super) names: Option<Box<Names>>,
}

/// Headers worth keeping, copied: their values would keep the buffer alive in which the head arrived. One piece of memory for all of
/// them: what a call hands over is freed on another core, and comes back cold.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// Of each the lengths of name and value, two bytes and four, most significant first, and both texts.
    packed: Vec<u8>,
}

/// Bytes for which room is made at once: what a modern `tools/call` has, with the name of its client.
const HEADERS_USUAL: usize = 256;

impl Headers {
    /// Those of `headers` that are recorded, where the recording wants any.
    pub(super) fn of(headers: &HeaderMap, capture: Capture) -> Self {
        let mut kept = Self::default();
        if capture < Capture::Headers {
            return kept;
        }
        let recorded = |name: &HeaderName| RECORDED.contains(name) || name.as_str().starts_with(PARAM_PREFIX);
        for (name, value) in headers.iter().filter(|(name, _)| recorded(name)) {
            kept.push(name.as_str().as_bytes(), value.as_bytes());
        }
        kept
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        // `http` has no longer names, and no server here takes such a value.
        let (Ok(name_bytes), Ok(value_bytes)) = (u16::try_from(name.len()), u32::try_from(value.len())) else { return };
        let more = size_of::<u16>() + size_of::<u32>() + name.len() + value.len();
        self.packed.reserve(if self.packed.is_empty() { more.max(HEADERS_USUAL) } else { more });
        self.packed.extend_from_slice(&name_bytes.to_be_bytes());
        self.packed.extend_from_slice(&value_bytes.to_be_bytes());
        self.packed.extend_from_slice(name);
        self.packed.extend_from_slice(value);
    }

    /// Names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &*self.packed;
        std::iter::from_fn(move || {
            let (name_bytes, after) = rest.split_first_chunk()?;
            let (value_bytes, after) = after.split_first_chunk()?;
            let (name, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*name_bytes)))?;
            let (value, after) = after.split_at_checked(u32::from_be_bytes(*value_bytes) as usize)?;
            rest = after;
            Some((str::from_utf8(name).ok()?, value))
        })
    }
}

/// Messages up to this size are copied when they are handed over, so that the buffers they arrived in are free again at once. It is the
/// size of such a buffer: a larger message has one of its own.
const COPIED_BYTES_MAX: usize = 8 * 1024;

/// A message for the thread.
pub(super) fn detached(message: &Envelope) -> Envelope {
    if message.body().len() <= COPIED_BYTES_MAX { message.detached() } else { message.clone() }
}

/// Bytes for the thread.
pub(super) fn detached_bytes(bytes: Bytes) -> Bytes {
    if bytes.len() <= COPIED_BYTES_MAX { Bytes::copy_from_slice(&bytes) } else { bytes }
}

/// What waits for the thread.
#[derive(Debug)]
pub(super) enum Item {
    /// The client's side of an exchange.
    Opened(Arc<CallContext>),
    /// Something of the server's side, or its end.
    Said(Box<Saying>),
    /// What a child did.
    Child(Box<Doing>),
}

#[derive(Debug)]
pub(super) struct Saying {
    pub(super) call: Arc<CallContext>,
    pub(super) at: Instant,
    pub(super) said: Said,
}

#[derive(Debug)]
pub(super) enum Said {
    /// A whole JSON answer.
    Answer(Envelope, Response),
    /// The data of an event; read already where somebody had to.
    Event(Bytes, Option<Envelope>),
    /// A JSON answer that was passed on as it came.
    Large(Gathered, Response),
    /// What the upstream sent in place of an answer. What the client was told instead follows.
    Rejected(Bytes),
    /// An answer of the gateway's own.
    Refusal { json: Bytes, kind: ErrorKind },
    /// An HTTP error without a message.
    Receipt(Response),
    /// What follows is the rest of the stream of another exchange's request, whose id this is (JSON text).
    Resumes(Box<str>),
    /// A stream that answers nothing is open (MCP 2025-11-25, "Transports", listening for messages from the server).
    Listens,
    /// It ends.
    ListensNoMore,
    /// The stream ends, and the call does not: its client can come back for the rest.
    Paused,
    /// The call ends without an answer: its client has left, or the gateway has given it up.
    Ended,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: Headers,
}

/// A large body, as it came.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) parts: Vec<Bytes>,
    /// Bytes that came, those that were not kept included.
    pub(super) size: u64,
    /// Everything that came was kept, and it came to its end.
    pub(super) whole: bool,
}

impl Said {
    /// Bytes that are held.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Answer(message, _) => message.body().len(),
            Self::Event(bytes, _) | Self::Rejected(bytes) | Self::Refusal { json: bytes, .. } => bytes.len(),
            Self::Large(gathered, _) => gathered.parts.iter().map(Bytes::len).sum(),
            Self::Receipt(_) | Self::Resumes(_) | Self::Listens | Self::ListensNoMore | Self::Paused | Self::Ended => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_recorded_are_kept_as_they_came_and_no_others() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("mcp-protocol-version", &b"2025-11-25"[..]),
            ("authorization", b"Bearer secret"),
            ("mcp-param-city", b"S\xc3\xa3o Paulo \xff"),
            ("user-agent", b""),
            ("host", b"example.com"),
        ] {
            headers.append(name, http::HeaderValue::from_bytes(value).unwrap());
        }
        headers.append("mcp-param-city", http::HeaderValue::from_bytes(&[b'x'; 1_000]).unwrap());
        let kept = Headers::of(&headers, Capture::Headers);
        let kept: Vec<(&str, &[u8])> = kept.iter().collect();
        assert_eq!(
            kept,
            [
                ("mcp-protocol-version", &b"2025-11-25"[..]),
                ("mcp-param-city", b"S\xc3\xa3o Paulo \xff"),
                ("mcp-param-city", &[b'x'; 1_000]),
                ("user-agent", b""),
            ]
        );
    }
}
