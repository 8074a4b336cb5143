//! One request to a child: written, and waited for until its answer begins.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use shadowcat_mcp::Id;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::child::Child;
use super::context::Context;
use super::death::Death;
use super::reply::{self, Head, Outcome};
use super::stdin::WriteError;
use crate::{Stage, UpstreamBody, UpstreamError, Why};

/// How long the end of a child may take to be known after it has closed its stdin.
const NEWS_OF_DEATH: Duration = Duration::from_secs(1);

/// JSON-RPC 2.0, section 5.1.
const INVALID_REQUEST: i32 = -32600;

/// How a message ended that brought no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It failed.
    Failed(UpstreamError),
    /// The child had ended before, and a call has reported it already: its sessions are history.
    Over,
    /// The client broke the protocol; this JSON-RPC error tells it.
    Refused(Bytes),
}

/// Why an inbox took no call.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The child is gone.
    Ended(Ended),
    /// Another call with this id is in flight.
    SameId,
    /// There are as many calls in flight as the inbox holds.
    Full,
}

/// The child's end, for as long as somebody may ask.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) death: Death,
    /// A call has carried the news already.
    pub(super) reported: bool,
}

impl From<UpstreamError> for Unanswered {
    fn from(error: UpstreamError) -> Self {
        Self::Failed(error)
    }
}

impl Unanswered {
    /// A call that its inbox did not take.
    pub(super) fn refused(upstream: &str, id: Option<Id<'_>>, refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Ended(Ended { reported: true, .. }) => Self::Over,
            Refusal::Ended(Ended { death, .. }) => death.before_call(upstream).into(),
            Refusal::SameId => {
                let text = "A request with this id is in flight in this session: ids must be unique";
                Self::Refused(reply::error(id.map_or("null", Id::as_json), INVALID_REQUEST, text))
            }
            Refusal::Full => {
                let detail = "has more calls in flight than one server process may hold: wait for answers";
                UpstreamError::unsent(upstream, Stage::Queue, Why::Overloaded, detail).into()
            }
        }
    }

    /// True if nothing more can be had of the child.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Over => true,
            Self::Failed(error) => error.stage == Stage::Write,
            Self::Refused(_) => false,
        }
    }

    /// What the client is told.
    pub(super) fn settle(self) -> Result<Response<UpstreamBody>, UpstreamError> {
        match self {
            Self::Failed(error) => Err(error),
            Self::Over => Ok(reply::no_session()),
            Self::Refused(message) => Ok(reply::json(StatusCode::BAD_REQUEST, message)),
        }
    }
}

/// Writes `request` and waits until something comes to `head`. If nothing does in time, `cancel` is sent after it, as
/// the specification asks of whoever gives up (2025-11-25, "Lifecycle", timeouts).
pub(super) async fn exchange(
    context: &Context,
    child: &Child,
    request: Bytes,
    head: oneshot::Receiver<Outcome>,
    cancel: Option<Bytes>,
) -> Result<Head, Unanswered> {
    let name = &context.name;
    match child.send(request).await {
        Ok(()) => {}
        Err(WriteError::Stuck) => return Err(stuck(name).into()),
        Err(WriteError::Closed) => return news_of_death(name, child, head).await,
    }
    let limit = context.settings.first_byte;
    match timeout(limit, head).await {
        Ok(Ok(outcome)) => Ok(outcome?),
        // An inbox answers every call it has taken before it lets go of it.
        Ok(Err(_)) => Err(Unanswered::Over),
        Err(_elapsed) => {
            if let Some(cancel) = cancel {
                // Nobody is left to care whether this gets through.
                let _ = child.send(cancel).await;
            }
            let detail = format!("the server process did not begin to answer within {limit:?}");
            Err(UpstreamError::sent(name, Stage::FirstByte, Why::TimedOut, detail).into())
        }
    }
}

/// Writes a message that needs no answer.
pub(super) async fn tell(context: &Context, child: &Child, message: Bytes) -> Result<(), Unanswered> {
    child.send(message).await.map_err(|error| match error {
        WriteError::Closed => Unanswered::Over,
        WriteError::Stuck => stuck(&context.name).into(),
    })
}

/// The child has closed its stdin, which mostly means that it ended; its end says more than the broken pipe does.
async fn news_of_death(name: &str, child: &Child, head: oneshot::Receiver<Outcome>) -> Result<Head, Unanswered> {
    match timeout(NEWS_OF_DEATH, head).await {
        Ok(Ok(outcome)) => Ok(outcome?),
        Ok(Err(_)) => Err(Unanswered::Over),
        Err(_elapsed) => {
            child.stop();
            let detail = "the server process closed its stdin while it runs, and was stopped";
            Err(UpstreamError::sent(name, Stage::Write, Why::BrokeProtocol, detail).into())
        }
    }
}

fn stuck(name: &str) -> UpstreamError {
    UpstreamError::sent(name, Stage::Write, Why::TimedOut, "the server process does not read its stdin")
}
