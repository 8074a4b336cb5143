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

use super::Service;
use super::activity::Activity;
use super::deadline::{DeadlineIo, HEAD_DEADLINE};
use super::stall::Streams;
use crate::drain::Drain;
use crate::stream::GatewayBody;

/// An HTTP/1 connection's read buffer, and what it holds for a client that does not read. It grows from 8 KiB only when
/// needed; a request head that does not fit is answered with 431.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// A request head of HTTP/2, decoded: room for every header of MCP and a large cookie.
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// As many streams as Envoy's edge guide allows on one connection.
const HTTP2_STREAMS_MAX: u32 = 100;

/// What a stream of HTTP/2 holds for a client that does not read; its upstream waits when it is full.
const SEND_BYTES_MAX: usize = 256 * 1024;

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
}

/// The answer to one request: boxed, so that a connection which waits for a request holds no room for one.
type Answer = Pin<Box<dyn Future<Output = Result<http::Response<GatewayBody>, Infallible>> + Send>>;

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
    let answer = service_fn(move |request: http::Request<Incoming>| -> Answer {
        let call = activity.begin(request.version());
        let service = Arc::clone(&service);
        Box::pin(async move { Ok(service.call(call, request).await) })
    });
    match spoken {
        Spoken::Http1 => to_the_end(http1_builder().serve_connection(io, answer), &leaving).await,
        // Boxed, so that HTTP/1 connections do not carry room for what HTTP/2 needs.
        Spoken::Http2 => Box::pin(to_the_end(http2_builder().serve_connection(io, answer), &leaving)).await,
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

fn http2_builder() -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(Streams);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING)
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
    builder
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::listen::CallOnConnection;
    use crate::listen::deadline::WRITE_STALL;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Empty};
    use hyper::client::conn::http2::handshake;
    use hyper::rt::Executor;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::duplex;
    use tokio::sync::mpsc;

    /// Answers `/endless` without end, and anything else at once.
    struct Endless;

    impl Service for Endless {
        async fn call(&self, _: CallOnConnection, request: http::Request<Incoming>) -> http::Response<GatewayBody> {
            if request.uri().path() != "/endless" {
                return http::Response::new(GatewayBody::full(Bytes::from_static(b"short")));
            }
            let (sender, receiver) = mpsc::channel(1);
            TokioExecutor::new()
                .execute(async move { while sender.send(Bytes::from_static(&[b'x'; 16 * 1024])).await.is_ok() {} });
            http::Response::new(GatewayBody::sent(receiver))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_http2_that_its_client_does_not_read_is_reset_and_the_others_go_on() {
        let (client, server) = duplex(64 * 1024);
        let leaving = Leaving { door: CancellationToken::new(), drain: Drain::default() };
        TokioExecutor::new().execute(async move {
            serve(server, Spoken::Http2, Instant::now(), Arc::new(Endless), leaving).await.unwrap();
        });
        let (mut sender, driver) = handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
        TokioExecutor::new().execute(async move { driver.await.unwrap() });
        let mut ask = |path: &str| {
            let request = http::Request::get(format!("http://gateway{path}")).body(Empty::<Bytes>::new()).unwrap();
            sender.send_request(request)
        };

        let mut unread = ask("/endless").await.unwrap().into_body();
        for _ in 0..4 {
            tokio::time::sleep(WRITE_STALL / 3).await;
            assert_eq!(ask("/short").await.unwrap().collect().await.unwrap().to_bytes(), "short");
        }
        // What had arrived before is still there to be read, a window's worth; then comes the reset.
        for _ in 0..1_000 {
            if let Err(reset) = unread.frame().await.expect("the stream does not end well") {
                let reset = reset.source().expect("a cause").to_string();
                assert!(reset.contains("stream no longer needed"), "{reset}");
                return;
            }
        }
        panic!("the stream went on");
    }
}
