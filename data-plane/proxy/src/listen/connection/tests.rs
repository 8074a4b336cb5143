use std::error::Error;
use std::sync::Mutex;

use super::*;
use crate::listen::CallOnConnection;
use crate::listen::deadline::WRITE_STALL;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use tokio::io::duplex;
use tokio::sync::mpsc;

/// What `/long` answers: more than any piece, and an end.
const LONG: &[u8] = &[b'x'; 256 * 1024];

/// What a client takes on each stream before it has read anything. Less than a piece.
const WINDOW: u32 = 4 * 1024;

/// Answers `/endless` without end, `/long` at length, and anything else at once. None of its calls ends.
#[derive(Default)]
struct Answers(Mutex<Vec<CallOnConnection>>);

impl Service for Answers {
    async fn call(&self, call: CallOnConnection, request: http::Request<Incoming>) -> http::Response<GatewayBody> {
        self.0.lock().unwrap().push(call);
        http::Response::new(match request.uri().path() {
            "/endless" => {
                let (sender, receiver) = mpsc::channel(1);
                TokioExecutor::new()
                    .execute(async move { while sender.send(Bytes::from_static(LONG)).await.is_ok() {} });
                GatewayBody::sent(receiver)
            }
            "/long" => GatewayBody::full(Bytes::from_static(LONG)),
            _ => GatewayBody::full(Bytes::from_static(b"short")),
        })
    }
}

/// A client of the gateway that gives each stream so much room.
async fn client(window: u32) -> SendRequest<Empty<Bytes>> {
    let (client, server) = duplex(64 * 1024);
    let leaving = Leaving { door: CancellationToken::new(), drain: Drain::default(), streams: TaskTracker::new() };
    let serving = serve(server, Spoken::Http2, Instant::now(), Arc::<Answers>::default(), leaving);
    TokioExecutor::new().execute(serving);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let (sender, driver) = builder.handshake(TokioIo::new(client)).await.unwrap();
    TokioExecutor::new().execute(driver);
    sender
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Incoming {
    let request = http::Request::get(format!("http://gateway{path}")).body(Empty::<Bytes>::new()).unwrap();
    sender.send_request(request).await.unwrap().into_body()
}

/// Reads until the stream is reset; panics if it ends well or goes on.
async fn read_to_the_reset(unread: &mut Incoming) {
    // What had arrived before is still there to be read, a window's worth.
    for _ in 0..100 {
        if let Err(reset) = unread.frame().await.expect("the stream does not end well") {
            let reset = reset.source().expect("a cause").to_string();
            assert!(reset.contains("stream no longer needed"), "{reset}");
            return;
        }
    }
    panic!("the stream went on");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_http2_that_its_client_does_not_read_is_reset_and_the_others_go_on() {
    for (window, path) in [(WINDOW, "/endless"), (WINDOW, "/long"), (1, "/endless"), (1, "/long")] {
        let mut sender = client(window).await;
        let mut unread = ask(&mut sender, path).await;
        for _ in 0..4 {
            tokio::time::sleep(WRITE_STALL / 3).await;
            let mut reading = ask(&mut sender, "/short").await;
            assert_eq!(reading.frame().await.unwrap().unwrap().into_data().unwrap()[..1], *b"s");
        }
        read_to_the_reset(&mut unread).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http2_that_reads_slowly_is_waited_for() {
    let mut sender = client(WINDOW).await;
    let mut slow = ask(&mut sender, "/long").await;
    let (began, mut read) = (Instant::now(), 0);
    while let Some(frame) = slow.frame().await {
        read += frame.expect("the stream is not reset").into_data().unwrap().len();
        tokio::time::sleep(WRITE_STALL / 6).await;
    }
    assert_eq!(read, LONG.len());
    assert!(began.elapsed() > WRITE_STALL * 2, "it was slow: {:?}", began.elapsed());
}
