//! The rest of a stream that broke, on whichever replica the client comes back to (MCP 2025-11-25, "Transports", resumability).
//!
//! A task reads the log and sends; it waits while the client does not read, and ends when the client leaves.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Response};
use shadowcat_mcp::header::LAST_EVENT_ID;
use shadowcat_mcp::{ErrorKind, GatewayError, sse};
use shadowcat_session::{Event, EventId, Session, StreamHead, StreamPage, StreamState};
use tokio::sync::mpsc;

use super::answer::X_ACCEL_BUFFERING;
use super::{Account, Answer, EventLog, GatewayBody};
use crate::observe::{Outcome, Short};
use crate::refuse;
use crate::route::{Exchange, Refusal, call_get};

/// Events read from the log at once: what a client's buffer takes in one go.
const PAGE_EVENTS: usize = 64;

/// Pages that wait for the client; with the one being read, this bounds what a slow client makes us hold. Beyond it the log is
/// not read, so nothing is lost and nothing is counted.
const PAGES_WAITING: usize = 2;

/// Answers a GET that carries `Last-Event-ID`.
pub(crate) async fn resume(
    exchange: Exchange,
    session: Arc<Session>,
    last: EventId,
    headers: HeaderMap,
    account: &mut Account,
) -> Result<Response<GatewayBody>, Refusal> {
    let page = read(&exchange, &session, &last).await?;
    let idle_get = page.head.request_id.is_none();
    let abandoned = page.state == StreamState::Paused || (page.state == StreamState::Orphaned && idle_get);
    if abandoned && page.events.is_empty() {
        let left = Left { session, last, page };
        return left.take_over(exchange, headers, account).await;
    }
    account.settle(Outcome::Ok);
    let (sender, receiver) = mpsc::channel(PAGES_WAITING);
    let tasks = exchange.shared.tasks.clone();
    let replay = Replay { exchange, session, last, sender };
    tasks.spawn(replay.run(page));
    let mut response = Response::new(GatewayBody::sent(receiver));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

async fn read(exchange: &Exchange, session: &Session, last: &EventId) -> Result<StreamPage, GatewayError> {
    let store = &exchange.shared.store;
    let page = store.read(&session.id, &last.stream, last.seq, PAGE_EVENTS).await;
    let page = page.map_err(|error| refuse::store_failed(&exchange.route.name, &error))?;
    match page {
        Some(page) if !page.gap => Ok(page),
        _ => Err(ErrorKind::ResumptionRefused.into()),
    }
}

/// A stream that nobody writes any more.
struct Left {
    session: Arc<Session>,
    last: EventId,
    page: StreamPage,
}

impl Left {
    /// Goes on with it by resuming it at the upstream.
    async fn take_over(
        self,
        exchange: Exchange,
        mut headers: HeaderMap,
        account: &mut Account,
    ) -> Result<Response<GatewayBody>, Refusal> {
        let Self { session, last, page } = self;
        if let Some(id) = page.upstream_event_id.as_deref().and_then(|id| HeaderValue::from_bytes(id).ok()) {
            headers.insert(LAST_EVENT_ID, id);
        }
        let answer = Answer::resumed(&exchange, page.head.request_id.as_deref());
        account.go()?;
        let response = call_get(&exchange, &session, headers).await.map_err(|error| answer.refuse(&error))?;
        // A GET that is refused changes nothing for the call: its client may come again.
        if let (Some(tap), Some(request), true) =
            (account.tap(), page.head.request_id.as_deref(), response.status().is_success())
        {
            tap.resumes(request);
        }
        let head = StreamHead { writer: Arc::clone(&exchange.shared.instance), ..page.head };
        let log = EventLog::resumed(Arc::clone(&exchange.shared.store), session.id, last, head);
        answer.relay(response, Some(log), account).await
    }
}

/// Replays a log and follows it to its end.
struct Replay {
    exchange: Exchange,
    session: Arc<Session>,
    last: EventId,
    sender: mpsc::Sender<Bytes>,
}

impl Replay {
    async fn run(mut self, mut page: StreamPage) {
        loop {
            if self.send(&page.events).await.is_err() {
                return;
            }
            match page.state {
                // The writer may have put more in after the page was cut.
                _ if !page.events.is_empty() => {}
                StreamState::Live => {
                    let store = &self.exchange.shared.store;
                    tokio::select! {
                        () = store.wait(&self.session.id, &self.last.stream, self.last.seq) => {}
                        () = self.sender.closed() => return,
                        () = self.exchange.shared.drain.announced() => return,
                    }
                }
                StreamState::Orphaned => return self.say_outcome_unknown(&page.head).await,
                StreamState::Paused | StreamState::Complete => return,
            }
            page = match read(&self.exchange, &self.session, &self.last).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::debug!(session = %Short(&self.session.id), stream = %self.last.stream, %error, "replay ended");
                    return;
                }
            };
        }
    }

    async fn send(&mut self, events: &[Event]) -> Result<(), ()> {
        let Some(newest) = events.last() else { return Ok(()) };
        let mut out = BytesMut::with_capacity(events.iter().map(|event| event.lines.len() + 32).sum());
        for event in events {
            let id = EventId { stream: self.last.stream, seq: event.seq };
            out.extend_from_slice(format!("id: {id}\n").as_bytes());
            out.extend_from_slice(&event.lines);
        }
        self.last.seq = newest.seq;
        self.sender.send(out.freeze()).await.map_err(|_| ())
    }

    /// The node that read the answer died with it: the call ran or did not, and nobody can tell.
    async fn say_outcome_unknown(&mut self, head: &StreamHead) {
        let Some(request) = &head.request_id else { return };
        let route = &self.exchange.route;
        let message = "the gateway that ran this call died before its answer was complete; check whether it took effect before you repeat it";
        let failure = GatewayError::new(ErrorKind::OutcomeUnknown, message)
            .on_route(&route.name)
            .at_upstream(&route.target.name)
            .in_stage("body");
        let mut lines = BytesMut::new();
        sse::encode(&mut lines, None, None, None, &failure.to_json(Some(request)));
        let head = StreamHead { writer: Arc::clone(&self.exchange.shared.instance), ..head.clone() };
        let store = Arc::clone(&self.exchange.shared.store);
        let mut log = EventLog::resumed(store, self.session.id, self.last, head);
        let lines = lines.freeze();
        let Some(id) = log.push(None, lines.clone()) else { return };
        log.close(StreamState::Complete).await;
        let event = Event { seq: id.seq, upstream_id: None, lines };
        // A client that has left learns it when it comes back.
        let _ = self.send(&[event]).await;
    }
}
