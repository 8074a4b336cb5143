//! One HTTP/1.1 connection, driven by the call that uses it.
//!
//! Elsewhere a connection has a task of its own, and every chunk of an answer crosses from that task to the call's through a
//! channel that holds one: two wake-ups a chunk. An HTTP/1.1 connection serves one exchange at a time, so here the call
//! itself polls it: what one read brought is there at once, and nothing is handed over. A connection that rests is polled by
//! nobody; when it is taken again it is first asked whether the server has closed it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};

use super::connect::Socket;

/// Read buffer of a connection, and by it the longest head that is accepted. What a server sends while a client does not
/// read piles up to this bound and no further.
const READ_BUFFER: usize = 64 * 1024;

/// A connection and the handle by which it is given requests.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// Absent once it has ended.
    driver: Option<Connection<Socket, Full<Bytes>>>,
    /// When it was last put to rest.
    pub(super) resting_since: Instant,
}

/// A request that got no answer.
pub(super) enum Unanswered {
    /// Nobody has acted on the request, which is given back.
    Untaken(Box<Request<Full<Bytes>>>, Untaken, hyper::Error),
    /// The connection failed with the request, or after it.
    Failed(hyper::Error),
}

/// Why a request was not acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untaken {
    /// The connection had ended before, or the server is about to end it.
    Gone,
    /// The server had no room for it (HTTP/2). The connection goes on.
    Refused,
}

impl Link {
    /// In a box, because it moves from hand to hand with every call.
    pub(super) async fn over(socket: Socket) -> hyper::Result<Box<Self>> {
        let (sender, driver) = http1::Builder::new().max_buf_size(READ_BUFFER).handshake(socket).await?;
        Ok(Box::new(Self { sender, driver: Some(driver), resting_since: Instant::now() }))
    }

    /// Sends a request and drives the connection until the head of the answer is there.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unanswered> {
        let mut answering = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answered = poll_fn(|cx| {
            drive(driver, cx);
            answering.as_mut().poll(cx)
        });
        answered.await.map_err(|mut error| match error.take_message() {
            Some(request) => Unanswered::Untaken(Box::new(request), Untaken::Gone, error.into_error()),
            None => Unanswered::Failed(error.into_error()),
        })
    }

    /// The next frame of the answer to the request that was sent last.
    pub(super) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        drive(&mut self.driver, cx);
        let frame = ready!(Pin::new(incoming).poll_frame(cx));
        Poll::Ready(frame)
    }

    /// True if the connection is open and free for a request. Nobody is woken for it.
    pub(super) fn is_usable(&mut self) -> bool {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }
}

/// Lets the connection read and write what it can. How it ends is told by the exchange that it ends with.
fn drive(driver: &mut Option<Connection<Socket, Full<Bytes>>>, cx: &mut Context<'_>) {
    if let Some(connection) = driver
        && Pin::new(connection).poll(cx).is_ready()
    {
        *driver = None;
    }
}
