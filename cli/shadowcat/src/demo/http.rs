//! The demo server over Streamable HTTP.
//!
//! Protocol and sessions are the SDK's; the listener is a plain hyper loop, HTTP/1.1 only, with a bound on connections, on the size
//! of a request and on the time it may take to arrive.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::DemoServer;

/// The only path, as in the gateway's own defaults.
const PATH: &str = "/mcp";

/// A demonstration is tried by one person; this leaves room for a small load test. Beyond it connections wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 512;

/// A request head that takes longer than this, or a connection that rests longer, is closed; and so is a body.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// Larger messages are refused, as the gateway does.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is under way when the server is told to stop gets this long to finish.
const GRACE: Duration = Duration::from_secs(5);

/// After a failed `accept` (no file descriptor left, most often) the loop breathes before it asks again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type McpService = StreamableHttpService<DemoServer, LocalSessionManager>;

/// A bound socket that has not begun to accept.
#[derive(Debug)]
pub struct HttpListener {
    socket: TcpListener,
    address: SocketAddr,
}

impl HttpListener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let hint = || format!("cannot listen on {address}: choose another address with --bind");
        let socket = TcpListener::bind(address).await.with_context(hint)?;
        let address = socket.local_addr().with_context(hint)?;
        Ok(Self { socket, address })
    }

    /// Where clients find the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Serves until `stop`, then finishes what is under way, within a bound.
    pub async fn serve(self, stop: CancellationToken) {
        let service = mcp_service(&stop);
        let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let connections = TaskTracker::new();
        while let Some((stream, permit)) = self.next(&free, &stop).await {
            connections.spawn(serve_connection(stream, service.clone(), stop.clone(), permit));
        }
        connections.close();
        connections.wait().await;
    }

    /// The next connection once one is allowed; none after `stop`.
    async fn next(&self, free: &Arc<Semaphore>, stop: &CancellationToken) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let permit = stop.run_until_cancelled(Arc::clone(free).acquire_owned()).await?.ok()?;
        loop {
            match stop.run_until_cancelled(self.socket.accept()).await? {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The SDK's service; `stop` ends its streams, which would otherwise outlive every grace.
fn mcp_service(stop: &CancellationToken) -> McpService {
    let config =
        StreamableHttpServerConfig::default().with_cancellation_token(stop.child_token()).enforce_origin_validation();
    let server = DemoServer::new();
    StreamableHttpService::new(move || Ok(server.clone()), Arc::default(), config)
}

async fn serve_connection(
    stream: TcpStream,
    service: McpService,
    stop: CancellationToken,
    permit: OwnedSemaphorePermit,
) {
    // An event must not wait for the next one to fill a packet.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    let answers = service_fn(move |request| answer(service.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(stream), answers);
    tokio::pin!(connection);
    let finished = tokio::select! {
        finished = connection.as_mut() => finished,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(finished) => finished,
                Err(_) => {
                    tracing::warn!("a connection was cut: its call did not finish within {GRACE:?}");
                    return;
                }
            }
        }
    };
    if let Err(error) = finished {
        tracing::debug!(%error, "connection ended");
    }
    drop(permit);
}

async fn answer(
    service: McpService,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    if request.uri().path() != PATH {
        return Ok(refuse(StatusCode::NOT_FOUND, format!("nothing here: the MCP endpoint is {PATH}\n")));
    }
    let (head, body) = request.into_parts();
    Ok(match tokio::time::timeout(HEAD_DEADLINE, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => service.handle(Request::from_parts(head, Full::new(body.to_bytes()))).await,
        Ok(Err(error)) => refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("the message was not read: {error}\n")),
        Err(_elapsed) => refuse(StatusCode::REQUEST_TIMEOUT, format!("no whole message within {HEAD_DEADLINE:?}\n")),
    })
}

/// A refusal after which the connection is closed: the rest of the request may still be on its way.
fn refuse(status: StatusCode, text: String) -> Response<BoxBody<Bytes, Infallible>> {
    let mut refusal = Response::new(Full::from(text).boxed());
    *refusal.status_mut() = status;
    refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    refusal
}
