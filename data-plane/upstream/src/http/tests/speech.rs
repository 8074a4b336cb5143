//! What a test says to a server by HTTP/2, and what a server says by hand.

use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use shadowcat_mcp::{Envelope, Limits};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Secured, TlsServer};
use crate::{Call, UpstreamBody, UpstreamError, Verb};

pub(super) const H2: &[&[u8]] = &[b"h2"];
/// How long a test waits for what must come. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

pub(super) fn post() -> Call {
    let message = Envelope::read(PING.into(), Limits::default()).expect("a message");
    Call { verb: Verb::Post(message), headers: HeaderMap::new(), session: None, exchange: None }
}

/// The whole body of an answer.
pub(super) async fn text(answer: Result<Response<UpstreamBody>, UpstreamError>) -> String {
    let body = answer.expect("an answer").into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().into()).expect("text")
}

/// The next piece of a body.
pub(super) async fn piece(body: &mut UpstreamBody) -> Bytes {
    body.frame().await.expect("a frame").expect("no failure").into_data().expect("data")
}

/// What the server tells next.
pub(super) async fn told<T>(tell: &mut mpsc::Receiver<T>) -> T {
    timeout(PATIENCE, tell.recv()).await.expect("never told").expect("a server")
}

/// Allows `max` exchanges at once and does with each what `answer` says, until the client has gone.
pub(super) async fn serve(secured: Secured, max: u32, mut answer: impl FnMut(SendResponse<Bytes>)) {
    let connecting = h2::server::Builder::new().max_concurrent_streams(max).handshake(secured).await;
    let mut connection = connecting.expect("a client");
    while let Some(Ok((_request, respond))) = connection.accept().await {
        answer(respond);
    }
}

pub(super) fn head(mut respond: SendResponse<Bytes>) -> SendStream<Bytes> {
    respond.send_response(Response::new(()), false).expect("a client")
}

pub(super) fn answer(respond: SendResponse<Bytes>, text: &'static str) {
    head(respond).send_data(text.into(), true).expect("a client");
}

/// A call that a server has got: on which connection, and the way to answer it.
pub(super) type Got = (usize, SendResponse<Bytes>);

/// A server that allows `max` calls at once on a connection and leaves the answers to the test.
pub(super) async fn obeying(max: u32) -> (TlsServer, mpsc::Receiver<Got>) {
    let (tell, got) = mpsc::channel(16);
    let server = TlsServer::serving(H2, move |secured, nth| {
        let tell = tell.clone();
        serve(secured, max, move |respond| tell.try_send((nth, respond)).expect("a test"))
    });
    (server.await, got)
}
