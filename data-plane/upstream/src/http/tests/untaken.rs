//! What becomes of calls that an HTTP/2 server does not take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use h2::Reason;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::join;
use tokio::sync::mpsc;

use super::speech::{H2, PING, answer, head, obeying, piece, post, serve, text, told};
use super::{Secured, TlsServer, call, length};
use crate::{Stage, Upstream, Why};

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

#[tokio::test]
async fn a_call_that_one_connection_refuses_runs_on_another_that_is_there() {
    let (server, mut got) = obeying(1).await;
    let upstream = server.trusted_upstream();
    let both = async {
        for (_nth, respond) in [told(&mut got).await, told(&mut got).await] {
            answer(respond, "taken");
        }
    };
    let (first, second, ()) = join!(upstream.call(post()), upstream.call(post()), both);
    assert_eq!((text(first).await, text(second).await), ("taken".to_owned(), "taken".to_owned()));
    assert_eq!(server.connections(), 2);
    let (third, ()) = join!(upstream.call(post()), async {
        let (nth, mut respond) = told(&mut got).await;
        assert_eq!(nth, 1);
        respond.send_reset(Reason::REFUSED_STREAM);
        let (nth, respond) = told(&mut got).await;
        assert_eq!(nth, 2);
        answer(respond, "taken");
    });
    assert_eq!(text(third).await, "taken");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_idle_connection_makes_way_for_a_new_one_and_a_busy_one_stays() {
    let (server, mut got) = obeying(1).await;
    let mut settings = server.settings();
    settings.max_connections = 2;
    let upstream = server.trusted_upstream_with(settings);
    let (busy, mut stream) = join!(upstream.call(post()), async { head(told(&mut got).await.1) });
    let (second, ()) = join!(upstream.call(post()), async { answer(told(&mut got).await.1, "taken") });
    assert_eq!(text(second).await, "taken");
    let (third, ()) = join!(upstream.call(post()), async {
        let (nth, mut respond) = told(&mut got).await;
        assert_eq!(nth, 2);
        respond.send_reset(Reason::REFUSED_STREAM);
        let (nth, respond) = told(&mut got).await;
        assert_eq!(nth, 3);
        answer(respond, "anew");
    });
    assert_eq!(text(third).await, "anew");
    stream.send_data("ended".into(), true).expect("a client");
    assert_eq!(text(busy).await, "ended");
    let (fourth, nth) = join!(upstream.call(post()), async {
        let (nth, respond) = told(&mut got).await;
        answer(respond, "taken");
        nth
    });
    assert_eq!((text(fourth).await.as_str(), nth), ("taken", 1));
}
