//! One connection, from its first bytes to its end.
//!
//! Which HTTP is spoken is asked once, before hyper is involved: hyper-util's connection for either keeps the states of both,
//! and twice the read buffer, for as long as it lives.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Service;
use super::activity::Activity;
use super::deadline::{DeadlineIo, HEAD_DEADLINE};
use super::stall::{Pieces, Streams};
use crate::drain::Drain;
use crate::stream::GatewayBody;

/// An HTTP/1 connection's read buffer, and what it holds for a client that does not read. It grows from 8 KiB only when
/// needed; a request head that does not fit is answered with 431.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// A request head of HTTP/2, decoded: room for every header of MCP and a large cookie.
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// As many streams as Envoy's edge guide allows on one connection.
const HTTP2_STREAMS_MAX: u32 = 100;

/// An HTTP/2 peer that is gone without a word is noticed within twice this.
const HTTP2_PING: Duration = Duration::from_secs(20);

/// How an HTTP/2 connection begins (RFC 9113, section 3.4). No method of HTTP/1 begins with these three letters.
const PREFACE: &[u8] = b"PRI";

/// A client that has sent less than [`PREFACE`] is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// When a connection must go.
#[derive(Debug)]
pub(super) struct Leaving {
    /// It is asked to finish. A token of its own, because a connection looks at it each time it wakes, and a shared one would be
    /// a lock that all of them take.
    pub(super) door: CancellationToken,
    /// It is cut when this drain's time is up.
    pub(super) drain: Drain,
    /// Where its streams run, on HTTP/2: they see the cut, and end a moment after it.
    pub(super) streams: TaskTracker,
}

/// The answer to one request: boxed, so that a connection which waits for a request holds no room for one.
type Answer<B> = Pin<Box<dyn Future<Output = Result<http::Response<B>, Infallible>> + Send>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
}

/// Serves a connection without TLS.
pub(super) async fn plain<S: Service>(socket: TcpStream, service: Arc<S>, leaving: Leaving) -> io::Result<()> {
    let since = Instant::now();
    let spoken = timeout_at(since + HEAD_DEADLINE, sniff(&socket)).await??;
    serve(socket, spoken, since, service, leaving).await
}

/// Serves a connection with TLS.
pub(super) async fn secured<S: Service>(
    socket: TcpStream,
    tls: &TlsAcceptor,
    service: Arc<S>,
    leaving: Leaving,
) -> io::Result<()> {
    let since = Instant::now();
    let socket = timeout_at(since + HEAD_DEADLINE, tls.accept(socket)).await??;
    let spoken = match socket.get_ref().1.alpn_protocol() {
        Some(b"h2") => Spoken::Http2,
        _ => Spoken::Http1,
    };
    serve(socket, spoken, since, service, leaving).await
}

/// Looks at the first bytes and leaves them where they are.
async fn sniff(socket: &TcpStream) -> io::Result<Spoken> {
    let mut begin = [0; PREFACE.len()];
    loop {
        let length = socket.peek(&mut begin).await?;
        if length == PREFACE.len() && begin == *PREFACE {
            return Ok(Spoken::Http2);
        }
        if length == 0 || !PREFACE.starts_with(&begin[..length]) {
            return Ok(Spoken::Http1);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn serve<S, Io>(socket: Io, spoken: Spoken, since: Instant, service: Arc<S>, leaving: Leaving) -> io::Result<()>
where
    S: Service,
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let io = TokioIo::new(DeadlineIo::new(socket, spoken, Arc::clone(&activity), since));
    let begin = move |request: &http::Request<Incoming>| (activity.begin(request.version()), Arc::clone(&service));
    match spoken {
        Spoken::Http1 => {
            let answer = service_fn(move |request| -> Answer<GatewayBody> {
                let (call, service) = begin(&request);
                Box::pin(async move { Ok(service.call(call, request).await) })
            });
            to_the_end(http1_builder().serve_connection(io, answer), &leaving).await
        }
        Spoken::Http2 => {
            let answer = service_fn(move |request| -> Answer<Pieces> {
                let (call, service) = begin(&request);
                Box::pin(async move { Ok(service.call(call, request).await.map(Pieces::of)) })
            });
            let connection = http2_builder(leaving.streams.clone()).serve_connection(io, answer);
            // Boxed, so that HTTP/1 connections do not carry room for what HTTP/2 needs.
            Box::pin(to_the_end(connection, &leaving)).await
        }
    }
}

/// Until the connection has ended, or the drain has asked it to finish and its time is up.
async fn to_the_end<C>(connection: C, leaving: &Leaving) -> io::Result<()>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = leaving.door.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = leaving.drain.time_is_up() => Ok(()),
            }
        }
    };
    ended.map_err(io::Error::other)
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Our own socket times heads; hyper's timer would also close connections that merely rest.
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX);
    builder
}

fn http2_builder(streams: TaskTracker) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(Streams(streams));
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING)
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
    builder
}

#[cfg(test)]
mod tests;
