//! What travels with a call and hands over what passes. Without a recording there is none, and a call pays for one comparison.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use shadowcat_config::Overflow;
use shadowcat_mcp::header::PROTOCOL_VERSION;
use shadowcat_mcp::{Envelope, ErrorKind, GatewayError, Kind, ProtocolVersion};

use super::Recorder;
use super::call::{
    Asked, CallContext, Gathered, Headers, Item, RecordedRoute, Response, Said, Saying, Told, detached, detached_bytes,
};
use crate::observe::{CallIds, SESSION_CHARS};

/// Records one exchange. Dropping it is the end of the exchange.
#[derive(Debug)]
pub(crate) struct Tap {
    recorder: Arc<Recorder>,
    call: Arc<CallContext>,
    state: State,
    /// The frame that ends the call has been handed over, or none is due.
    concluded: bool,
    /// Its stream answers nothing, and its end will be told.
    listens: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The request is held back until its session is known.
    Waiting,
    /// The request was handed over.
    Recording,
    /// The tape is not among the sampled.
    Off,
}

/// What is known of an exchange when its head has been read.
pub(crate) struct Opening<'a> {
    pub(crate) route: &'a Arc<RecordedRoute>,
    pub(crate) ids: &'a CallIds,
    /// Of the configuration; 0 for none.
    pub(crate) version: u64,
    /// The client's.
    pub(crate) connection: u64,
    pub(crate) began: Instant,
}

impl Tap {
    pub(crate) fn open(recorder: &Arc<Recorder>, opening: &Opening<'_>, request: &http::Request<impl Sized>) -> Self {
        let Opening { route, ids, version, connection, began } = *opening;
        let era = request.headers().get(PROTOCOL_VERSION).and_then(version_of);
        let call = CallContext {
            route: Arc::clone(route),
            connection,
            exchange: recorder.next_exchange(),
            session: ids.session_bytes(),
            trace: ids.trace_bytes(),
            era,
            version,
            method: request.method().clone(),
            headers: Headers::of(request.headers(), route.recording.capture),
            began,
            request: Asked::Nothing,
            tape: OnceLock::new(),
            told: Mutex::new(Told::default()),
        };
        Self {
            recorder: Arc::clone(recorder),
            call: Arc::new(call),
            state: State::Waiting,
            concluded: true,
            listens: false,
        }
    }

    /// The number of the exchange, for whoever may tell more of it.
    pub(crate) fn exchange(&self) -> u64 {
        self.call.exchange
    }

    /// Notes the client's message.
    pub(crate) fn message(&mut self, message: &Envelope) {
        self.concluded = message.kind() != Kind::Request;
        let spoken = message.meta_protocol_version().and_then(|text| text.parse::<ProtocolVersion>().ok());
        self.waiting(|call| {
            call.era = spoken.map(ProtocolVersion::as_str).or(call.era);
            call.request = Asked::Message(detached(message));
        });
    }

    /// Notes what came where a message was due.
    pub(crate) fn raw(&mut self, bytes: Bytes) {
        self.waiting(|call| call.request = Asked::Raw(bytes));
    }

    /// Notes the session that the exchange has opened.
    pub(crate) fn opened(&mut self, session: &HeaderValue) {
        let begin = session.as_bytes().first_chunk::<SESSION_CHARS>().copied();
        self.waiting(|call| call.session = begin);
    }

    /// Notes the protocol version in force.
    pub(crate) fn speaks(&mut self, version: ProtocolVersion) {
        self.waiting(|call| call.era = Some(version.as_str()));
    }

    /// Changes what is not handed over yet.
    fn waiting(&mut self, change: impl FnOnce(&mut CallContext)) {
        if let Some(call) = Arc::get_mut(&mut self.call) {
            change(call);
        }
    }

    /// Hands over the request: the call goes to its upstream now.
    ///
    /// # Errors
    /// When the recording must not lose a record, and may have to.
    pub(crate) fn go(&mut self) -> Result<(), GatewayError> {
        if self.state != State::Waiting {
            return Ok(());
        }
        if !self.recorder.samples(&self.call) {
            self.state = State::Off;
            return Ok(());
        }
        self.check()?;
        self.hand_over();
        Ok(())
    }

    /// Whether the call may run: not while its recording must not lose a record, and may have to.
    ///
    /// # Errors
    /// When it may not.
    pub(crate) fn check(&self) -> Result<(), GatewayError> {
        let required = self.call.route.recording.on_overflow == Overflow::Required;
        if self.state != State::Waiting || !required || self.recorder.can_promise() {
            return Ok(());
        }
        let text =
            "this call must be recorded, and the recorder cannot keep up: try again after the time in Retry-After";
        Err(GatewayError::new(ErrorKind::Overloaded, text).on_route(&self.call.route.name))
    }

    fn hand_over(&mut self) {
        self.state = State::Recording;
        let size = self.call.request.size();
        self.recorder.push(Item::Opened(Arc::clone(&self.call)), size);
    }

    /// A whole JSON answer.
    pub(crate) fn answer(&mut self, message: &Envelope, status: StatusCode, headers: &HeaderMap) {
        self.concluded = true;
        let head = self.head(status, headers);
        self.say(Said::Answer(detached(message), head));
    }

    /// The data of an event of the answer's stream, as somebody has read it if somebody had to.
    pub(crate) fn event(&mut self, data: Bytes, read: Option<&Envelope>) {
        if self.state == State::Off {
            return;
        }
        let read = read.map(detached);
        let data = read.as_ref().map_or_else(|| detached_bytes(data), |message| message.body().clone());
        self.say(Said::Event(data, read));
    }

    /// The answer that was due has gone by in the stream.
    pub(crate) fn conclude(&mut self) {
        self.concluded = true;
    }

    /// A stream that answers nothing is open.
    pub(crate) fn listens(&mut self) {
        self.listens = true;
        self.say(Said::Listens);
    }

    /// What follows is the rest of the stream of the request with this id (JSON text), which broke before its answer.
    pub(crate) fn resumes(&mut self, request: &str) {
        self.concluded = false;
        self.say(Said::Resumes(request.into()));
    }

    /// The stream has ended before the answer, and the call goes on: its client can come back for the rest.
    pub(crate) fn pause(&mut self) {
        self.concluded = true;
        self.say(Said::Paused);
    }

    /// What the upstream sent in place of an answer.
    pub(crate) fn rejected(&mut self, bytes: Bytes) {
        self.say(Said::Rejected(bytes));
    }

    /// An answer of the gateway's own, to the request with this id (JSON text).
    pub(crate) fn refusal(&mut self, error: &GatewayError, id: Option<&str>) {
        self.concluded = true;
        self.say(Said::Refusal { json: error.to_json(id), kind: error.kind() });
    }

    /// An answer without a message. That something was taken is not worth a frame.
    pub(crate) fn receipt(&mut self, status: StatusCode, headers: &HeaderMap) {
        if status.is_success() {
            return;
        }
        let head = self.head(status, headers);
        self.say(Said::Receipt(head));
    }

    /// An answer that is passed on as it comes, of which `begin` was read ahead.
    pub(crate) fn gather(self, begin: &Bytes, status: StatusCode, headers: &HeaderMap) -> Gathering {
        let head = self.head(status, headers);
        let mut gathering = Gathering { tap: self, head: Some(head), gathered: Gathered::default(), held: 0 };
        gathering.push(begin);
        gathering
    }

    fn head(&self, status: StatusCode, headers: &HeaderMap) -> Response {
        Response { status, headers: Headers::of(headers, self.call.route.recording.capture) }
    }

    fn say(&mut self, said: Said) {
        if self.state == State::Waiting {
            // A call that is refused is recorded even where a record is required and may be lost: it is told, and not run.
            if self.recorder.samples(&self.call) {
                self.hand_over();
            } else {
                self.state = State::Off;
            }
        }
        if self.state == State::Recording {
            let size = said.size();
            let saying = Saying { call: Arc::clone(&self.call), at: Instant::now(), said };
            self.recorder.push(Item::Said(Box::new(saying)), size);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.listens {
            self.say(Said::ListensNoMore);
        } else if !self.concluded {
            self.say(Said::Ended);
        } else if self.state == State::Waiting && self.recorder.samples(&self.call) {
            self.hand_over();
        }
    }
}

fn version_of(header: &HeaderValue) -> Option<&'static str> {
    header.to_str().ok()?.trim().parse::<ProtocolVersion>().ok().map(ProtocolVersion::as_str)
}

/// Gathers a large answer while it passes: references, never copies. Beyond what the recording keeps of a message, or what the
/// recorder may hold, only its size is.
#[derive(Debug)]
pub(crate) struct Gathering {
    tap: Tap,
    head: Option<Response>,
    gathered: Gathered,
    /// Of the recorder's room.
    held: usize,
}

impl Gathering {
    pub(crate) fn push(&mut self, bytes: &Bytes) {
        self.gathered.size += bytes.len() as u64;
        let fits = self.gathered.size <= self.tap.call.route.recording.max_message;
        if fits && self.tap.recorder.hold(bytes.len()) {
            self.held += bytes.len();
            self.gathered.parts.push(bytes.clone());
        }
    }

    /// The body has come to its end.
    pub(crate) fn finish(&mut self) {
        self.gathered.whole = self.held as u64 == self.gathered.size;
        self.hand_over();
    }

    fn hand_over(&mut self) {
        let Some(head) = self.head.take() else { return };
        self.tap.recorder.let_go(std::mem::take(&mut self.held));
        self.tap.concluded = true;
        let gathered = std::mem::take(&mut self.gathered);
        self.tap.say(Said::Large(gathered, head));
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.hand_over();
    }
}
