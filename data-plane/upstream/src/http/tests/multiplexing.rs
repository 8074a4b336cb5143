//! HTTP/2 connections: how many there are, and what becomes of calls that a server does not take.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use shadowcat_mcp::{Envelope, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Secured, TlsServer, call, length};
use crate::{Call, Stage, Upstream, UpstreamBody, UpstreamError, Verb, Why};

const H2: &[&[u8]] = &[b"h2"];
/// How long a test waits for what must come. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn post() -> Call {
    let message = Envelope::read(PING.into(), Limits::default()).expect("a message");
    Call { verb: Verb::Post(message), headers: HeaderMap::new(), session: None }
}

/// The whole body of an answer.
async fn text(answer: Result<Response<UpstreamBody>, UpstreamError>) -> String {
    let body = answer.expect("an answer").into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().into()).expect("text")
}

/// The next piece of a body.
async fn piece(body: &mut UpstreamBody) -> Bytes {
    body.frame().await.expect("a frame").expect("no failure").into_data().expect("data")
}

/// What the server tells next.
async fn told<T>(tell: &mut mpsc::Receiver<T>) -> T {
    timeout(PATIENCE, tell.recv()).await.expect("never told").expect("a server")
}

/// Allows `max` exchanges at once and does with each what `answer` says, until the client has gone.
async fn serve(secured: Secured, max: u32, mut answer: impl FnMut(SendResponse<Bytes>)) {
    let connecting = h2::server::Builder::new().max_concurrent_streams(max).handshake(secured).await;
    let mut connection = connecting.expect("a client");
    while let Some(Ok((_request, respond))) = connection.accept().await {
        answer(respond);
    }
}

fn head(mut respond: SendResponse<Bytes>) -> SendStream<Bytes> {
    respond.send_response(Response::new(()), false).expect("a client")
}

fn answer(respond: SendResponse<Bytes>, text: &'static str) {
    head(respond).send_data(text.into(), true).expect("a client");
}

/// Answers with the length of the message, or refuses the stream, as `takes` says; `runs` counts what it takes.
async fn serve_or_refuse(secured: Secured, runs: Arc<AtomicUsize>, takes: impl Fn(usize) -> bool + 'static) {
    let asked = AtomicUsize::new(0);
    let service = service_fn(move |request: Request<Incoming>| {
        let taken = takes(asked.fetch_add(1, Ordering::Relaxed) + 1);
        let runs = Arc::clone(&runs);
        async move {
            if !taken {
                return Err(h2::Error::from(Reason::REFUSED_STREAM));
            }
            runs.fetch_add(1, Ordering::Relaxed);
            Ok(length(request).await.expect("infallible"))
        }
    });
    _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(secured), service).await;
}

#[tokio::test]
async fn a_call_that_the_server_refuses_runs_once_on_a_new_connection() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let serve = move |secured, nth| serve_or_refuse(secured, Arc::clone(&count), move |asked| nth > 1 || asked == 1);
    let server = TlsServer::serving(H2, serve).await;
    let upstream = server.trusted_upstream();
    for run in 1..=2 {
        assert_eq!(text(upstream.call(post()).await).await, PING.len().to_string());
        assert_eq!((runs.load(Ordering::Relaxed), server.connections()), (run, run));
    }
}

#[tokio::test]
async fn a_call_that_is_refused_on_a_new_connection_too_has_not_run() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let serve = move |secured, _nth| serve_or_refuse(secured, Arc::clone(&count), |_asked| false);
    let server = TlsServer::serving(H2, serve).await;
    let error = server.trusted_upstream().call(post()).await.expect_err("refused");
    assert_eq!((error.stage, error.why, error.sent), (Stage::Connect, Why::Unreachable, false));
    assert!(error.detail.contains("refused"), "{}", error.detail);
    assert_eq!((runs.load(Ordering::Relaxed), server.connections()), (0, 2));
}

/// Sends each word in answer to its first call, goes away with the first one, and ends the answer with the last.
async fn depart(secured: Secured, words: &mut mpsc::Receiver<&'static str>) {
    let mut connection = h2::server::handshake(secured).await.expect("a client");
    let (_request, respond) = connection.accept().await.expect("a call").expect("no failure");
    let mut answer = head(respond);
    loop {
        tokio::select! {
            word = words.recv() => {
                connection.graceful_shutdown();
                answer.send_data(word.unwrap_or_default().into(), word.is_none()).expect("a client");
                if word.is_none() {
                    break;
                }
            }
            accepted = connection.accept() => assert!(accepted.is_none(), "a call after the goodbye"),
        }
    }
    assert!(connection.accept().await.is_none(), "a call after the goodbye");
}

#[tokio::test]
async fn a_server_that_goes_away_is_left_with_what_it_has_and_called_anew() {
    let (speak, words) = mpsc::channel(1);
    let words = Arc::new(tokio::sync::Mutex::new(words));
    let server = TlsServer::serving(H2, move |secured, nth| {
        let words = Arc::clone(&words);
        async move {
            match nth {
                1 => depart(secured, &mut *words.lock().await).await,
                _ => serve(secured, 100, |respond| answer(respond, "anew")).await,
            }
        }
    })
    .await;
    let upstream = server.trusted_upstream();
    let mut first = upstream.call(call()).await.expect("an answer").into_body();
    speak.send("leaving").await.expect("a server");
    // Sent after the goodbye, so that has been read too.
    assert_eq!(piece(&mut first).await, "leaving");
    assert_eq!(text(upstream.call(post()).await).await, "anew");
    speak.send("left").await.expect("a server");
    drop(speak);
    assert_eq!(first.collect().await.expect("the rest").to_bytes(), "left");
    assert_eq!(server.connections(), 2);
}

/// Answers stream 1, and goes away at stream 3 with 1 as the last one that it acted on (RFC 9113, section 6.8). By hand: h2
/// takes every stream that it has seen for one that was acted on.
async fn overlook_the_second(mut secured: Secured) -> std::io::Result<()> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const ACKNOWLEDGE: u8 = 1;
    secured.read_exact(&mut [0; 24]).await?;
    secured.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await?;
    loop {
        let mut frame = [0; 9];
        secured.read_exact(&mut frame).await?;
        let [high, mid, low, kind, flags, _, _, _, stream] = frame;
        let mut payload = vec![0; u32::from_be_bytes([0, high, mid, low]) as usize];
        secured.read_exact(&mut payload).await?;
        let reply: &[u8] = match (kind, stream) {
            (SETTINGS, _) if flags & ACKNOWLEDGE == 0 => &[0, 0, 0, SETTINGS, ACKNOWLEDGE, 0, 0, 0, 0],
            // `:status: 200` of the static table, and the ends of the head and of the stream.
            (HEADERS, 1) => &[0, 0, 1, HEADERS, 0x5, 0, 0, 0, 1, 0x88],
            // With the whole call here; the last stream is 1, the reason NO_ERROR.
            (DATA, 3) => &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
            _ => continue,
        };
        secured.write_all(reply).await?;
    }
}

#[tokio::test]
async fn a_call_that_a_departing_server_overlooked_runs_on_a_new_connection() {
    let server = TlsServer::serving(H2, |secured, nth| async move {
        match nth {
            1 => _ = overlook_the_second(secured).await,
            _ => serve(secured, 100, |respond| answer(respond, "anew")).await,
        }
    })
    .await;
    let upstream = server.trusted_upstream();
    assert_eq!(text(upstream.call(post()).await).await, "");
    assert_eq!(text(upstream.call(post()).await).await, "anew");
    assert_eq!(server.connections(), 2);
}

/// A server that takes two calls on a connection, and answers those after the first `at_once` only when it has `together`.
async fn answering_together(at_once: usize, together: usize) -> TlsServer {
    let asked = Arc::new(AtomicUsize::new(0));
    let waiting = Arc::new(Mutex::new(Vec::new()));
    TlsServer::serving(H2, move |secured, _nth| {
        let (asked, waiting) = (Arc::clone(&asked), Arc::clone(&waiting));
        serve(secured, 2, move |respond| {
            if asked.fetch_add(1, Ordering::Relaxed) < at_once {
                return answer(respond, "at once");
            }
            let mut waiting = waiting.lock().expect("not poisoned");
            waiting.push(respond);
            if waiting.len() == together {
                waiting.drain(..).for_each(|respond| answer(respond, "together"));
            }
        })
    })
    .await
}

#[tokio::test]
async fn calls_beyond_what_a_connection_takes_go_to_others_and_do_not_wait() {
    let server = answering_together(1, 5).await;
    let upstream = server.trusted_upstream();
    assert_eq!(text(upstream.call(post()).await).await, "at once");
    assert_eq!(server.connections(), 1);
    for answer in join_all((0..5).map(|_| upstream.call(post()))).await {
        assert_eq!(text(answer).await, "together");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_burst_of_first_calls_finds_out_what_a_connection_takes() {
    let server = answering_together(0, 5).await;
    let upstream = server.trusted_upstream();
    for answer in join_all((0..5).map(|_| upstream.call(post()))).await {
        assert_eq!(text(answer).await, "together");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_burst_of_first_calls_shares_one_connection() {
    let server = TlsServer::offering(H2).await;
    let upstream = server.trusted_upstream();
    for answer in join_all((0..20).map(|_| upstream.call(post()))).await {
        assert_eq!(text(answer).await, PING.len().to_string());
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn calls_that_wait_for_a_connection_share_its_failure() {
    let server = TlsServer::offering(H2).await;
    let upstream = server.upstream();
    for answer in join_all((0..5).map(|_| upstream.call(post()))).await {
        let error = answer.expect_err("not trusted");
        assert_eq!((error.stage, error.sent), (Stage::Connect, false));
    }
    assert_eq!(server.connections(), 1);
    // A later call finds out for itself.
    assert!(upstream.call(post()).await.is_err());
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_in_use_is_not() {
    let held = Arc::new(Mutex::new(None));
    let hold = Arc::clone(&held);
    let (end, mut ended) = mpsc::channel(2);
    let server = TlsServer::serving(H2, move |secured, nth| {
        let (end, hold) = (end.clone(), Arc::clone(&hold));
        async move {
            match nth {
                1 => serve(secured, 1, |respond| *hold.lock().expect("not poisoned") = Some(head(respond))).await,
                _ => serve(secured, 1, |respond| answer(respond, "brief")).await,
            }
            end.send(nth).await.expect("a test");
        }
    })
    .await;
    let mut settings = server.settings();
    settings.idle_timeout = Duration::from_millis(50);
    let upstream = server.trusted_upstream_with(settings);
    let first = upstream.call(call()).await;
    assert_eq!(text(upstream.call(post()).await).await, "brief");
    assert_eq!(told(&mut ended).await, 2);
    let mut stream = held.lock().expect("not poisoned").take().expect("the first call");
    stream.send_data("still here".into(), true).expect("a client");
    assert_eq!(text(first).await, "still here");
    assert_eq!(told(&mut ended).await, 1);
}

#[tokio::test]
async fn an_answer_under_way_outlives_its_upstream_and_then_the_connection_is_closed() {
    let (tell, mut streams) = mpsc::channel(1);
    let server = TlsServer::serving(H2, move |secured, _nth| {
        let tell = tell.clone();
        async move {
            serve(secured, 1, |respond| tell.try_send(Some(head(respond))).expect("a test")).await;
            tell.send(None).await.expect("a test");
        }
    })
    .await;
    let upstream = server.trusted_upstream();
    let first = upstream.call(call()).await;
    drop(upstream);
    let mut stream = told(&mut streams).await.expect("a call");
    stream.send_data("to the end".into(), true).expect("a client");
    assert_eq!(text(first).await, "to the end");
    assert!(told(&mut streams).await.is_none());
}

#[tokio::test]
async fn answers_that_nobody_reads_do_not_stop_the_others() {
    const UNREAD: usize = 40;
    let server = TlsServer::serving(H2, |secured, _nth| async {
        let mut unread = Vec::new();
        serve(secured, 100, |respond| {
            if unread.len() == UNREAD {
                return answer(respond, "read");
            }
            let mut stream = head(respond);
            stream.send_data(vec![0; 1024 * 1024].into(), false).expect("a client");
            unread.push(stream);
        })
        .await;
    })
    .await;
    let upstream = server.trusted_upstream();
    let unread = join_all((0..UNREAD).map(|_| upstream.call(post()))).await;
    assert!(unread.iter().all(Result::is_ok));
    assert_eq!(text(upstream.call(post()).await).await, "read");
    assert_eq!(server.connections(), 1);
}
