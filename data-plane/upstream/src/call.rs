//! What goes to an upstream and what comes back.

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Response};
use shadowcat_mcp::Envelope;

use crate::{UpstreamBody, UpstreamError};

/// One exchange with an upstream, in the terms of Streamable HTTP (MCP 2025-11-25, "Transports").
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every call is a post: a box would cost it an allocation to spare the others nothing"
)]
pub enum Verb {
    /// A client message.
    Post(Envelope),
    /// The stream for what the server sends unasked; resumes when `Call::headers` carries `last-event-id`.
    Get,
    /// The end of an upstream session.
    Delete,
}

/// One exchange: the verb, the end-to-end headers of the client, and the upstream session it belongs to.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub verb: Verb,
    /// End-to-end headers, already free of hop-by-hop fields, credentials and the gateway's own session id.
    pub headers: HeaderMap,
    /// The id the upstream minted for its session, absent before `initialize` and where it mints none.
    pub session: Option<HeaderValue>,
    /// An opaque number of the caller's own for the exchange: observers of children are told it, and nobody else.
    pub exchange: Option<u64>,
}

impl Call {
    /// Ends an upstream session in the gateway's own name.
    #[must_use]
    pub fn delete(session: HeaderValue) -> Self {
        Self { verb: Verb::Delete, headers: HeaderMap::new(), session: Some(session), exchange: None }
    }
}

/// An MCP server, or a pool of interchangeable ones.
///
/// The gateway takes any implementation. This one is a server in the same process, which answers `ping`:
///
/// ```
/// use async_trait::async_trait;
/// use http::{Response, StatusCode, header::CONTENT_TYPE};
/// use shadowcat_upstream::{Call, Upstream, UpstreamBody, UpstreamError, UpstreamStatus, Verb};
///
/// struct Ping;
///
/// #[async_trait]
/// impl Upstream for Ping {
///     fn name(&self) -> &str {
///         "ping"
///     }
///
///     async fn call(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError> {
///         let mut response = Response::new(UpstreamBody::empty());
///         let Verb::Post(message) = call.verb else {
///             *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
///             return Ok(response);
///         };
///         let Some(id) = message.id() else {
///             *response.status_mut() = StatusCode::ACCEPTED;
///             return Ok(response);
///         };
///         *response.body_mut() = UpstreamBody::full(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
///         response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("plain ASCII"));
///         Ok(response)
///     }
///
///     fn status(&self) -> UpstreamStatus {
///         UpstreamStatus { reachable: true, ..UpstreamStatus::default() }
///     }
///
///     async fn shutdown(&self) {}
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http_body_util::BodyExt;
/// use shadowcat_mcp::{Envelope, Limits};
///
/// let message = Envelope::read(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#.into(), Limits::default())?;
/// let call = Call { verb: Verb::Post(message), headers: http::HeaderMap::new(), session: None, exchange: None };
/// let answer = Ping.call(call).await?.into_body().collect().await?.to_bytes();
/// assert_eq!(answer, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Upstream: Send + Sync + 'static {
    /// The name from the configuration, as errors and metrics show it.
    fn name(&self) -> &str;

    /// Sends `call` at most once and returns the head of the answer; the body follows as it arrives.
    ///
    /// Every stage is bounded by the upstream's own time-outs. An answer with an error status is an `Ok`: it is the server's word.
    /// Dropping the future or the body ends the exchange.
    async fn call(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError>;

    /// What `/health` and metrics say of it.
    fn status(&self) -> UpstreamStatus;

    /// Ends what belongs to this upstream (children, idle connections) in order, within its own bound.
    async fn shutdown(&self);
}

/// What an upstream is worth right now.
#[derive(Debug, Clone, Default)]
pub struct UpstreamStatus {
    /// False once the last attempt to reach it failed.
    pub reachable: bool,
    /// What failed last, for a person.
    pub last_error: Option<String>,
    /// Exchanges under way.
    pub in_flight: usize,
    /// Children alive (stdio).
    pub children: usize,
}
