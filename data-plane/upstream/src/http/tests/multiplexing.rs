//! HTTP/2 connections: how many there are, and which of them a call goes to.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use metrics::Gauge;
use tokio::join;
use tokio::sync::mpsc;

use super::speech::{H2, PING, answer, head, obeying, post, serve, text, told};
use super::{TlsServer, call};
use crate::slots::Slots;
use crate::{Stage, Upstream, UpstreamMetrics, Why};

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
async fn connections_that_a_burst_needs_are_made_at_the_same_time() {
    // No handshake gets on until three have begun, and no connection takes more than a hundred calls.
    const CALLS: u32 = 250;
    let server = TlsServer::serving_by(3, H2, |secured, _nth| async {
        serve(secured, 100, |respond| answer(respond, "taken")).await;
    })
    .await;
    let mut settings = server.settings();
    settings.max_connections = CALLS;
    let upstream = server.trusted_upstream_with(settings);
    for answer in join_all((0..CALLS).map(|_| upstream.call(post()))).await {
        assert_eq!(text(answer).await, "taken");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn when_the_call_that_makes_a_connection_is_given_up_one_that_waits_makes_it() {
    let server = TlsServer::serving_by(2, H2, |secured, _nth| async {
        serve(secured, 100, |respond| answer(respond, "taken")).await;
    })
    .await;
    let upstream = server.trusted_upstream();
    let mut first = Box::pin(upstream.call(post()));
    let mut second = Box::pin(upstream.call(post()));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    while server.connections() == 0 {
        assert!(first.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(first);
    assert_eq!(text(second.await).await, "taken");
}

#[tokio::test]
async fn a_call_beyond_all_room_waits_on_a_connection_and_ends_none() {
    let (server, mut got) = obeying(1).await;
    let mut settings = server.settings();
    settings.max_connections = 1;
    let mut upstream = server.trusted_upstream_with(settings);
    // More calls at once than connections, whose number bounds both elsewhere.
    upstream.slots = Slots::new("vault".into(), "connections", 2, Gauge::noop(), &UpstreamMetrics::default());
    let (busy, mut stream) = join!(upstream.call(post()), async { head(told(&mut got).await.1) });
    let mut next = Box::pin(upstream.call(post()));
    assert!(next.as_mut().now_or_never().is_none());
    stream.send_data("ended".into(), true).expect("a client");
    assert_eq!(text(busy).await, "ended");
    let (next, nth) = join!(next, async {
        let (nth, respond) = told(&mut got).await;
        answer(respond, "taken");
        nth
    });
    assert_eq!((text(next).await.as_str(), nth), ("taken", 1));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn connections_on_which_a_server_falls_silent_get_no_further_calls() {
    let (tell, mut got) = mpsc::channel(4);
    let (end, mut ended) = mpsc::channel(3);
    let server = TlsServer::serving(H2, move |secured, nth| {
        let (tell, end) = (tell.clone(), end.clone());
        async move {
            serve(secured, 1, move |respond| tell.try_send((nth, respond)).expect("a test")).await;
            end.send(nth).await.expect("a test");
        }
    })
    .await;
    let mut upstream = server.trusted_upstream();
    let (before, mut stream) = join!(upstream.call(post()), async { head(told(&mut got).await.1) });
    let (second, ()) = join!(upstream.call(post()), async { answer(told(&mut got).await.1, "taken") });
    assert_eq!(text(second).await, "taken");
    let patience = mem::replace(&mut upstream.settings.first_byte, Duration::from_millis(50));
    let error = upstream.call(post()).await.expect_err("no answer");
    assert_eq!((error.stage, error.why, error.sent), (Stage::FirstByte, Why::TimedOut, true));
    assert_eq!(told(&mut got).await.0, 2);
    assert_eq!(told(&mut ended).await, 2);
    // What is on the other goes on, and then it is closed too.
    stream.send_data("to the end".into(), true).expect("a client");
    assert_eq!(text(before).await, "to the end");
    assert_eq!(told(&mut ended).await, 1);
    upstream.settings.first_byte = patience;
    let (after, nth) = join!(upstream.call(post()), async {
        let (nth, respond) = told(&mut got).await;
        answer(respond, "anew");
        nth
    });
    assert_eq!((text(after).await.as_str(), nth), ("anew", 3));
}

#[tokio::test]
async fn a_slow_call_does_not_cost_a_connection_on_which_others_are_answered() {
    let (server, mut got) = obeying(2).await;
    let upstream = server.trusted_upstream();
    let mut slow = Box::pin(upstream.call(post()));
    let unanswered = async {
        tokio::select! {
            _ = &mut slow => panic!("an answer"),
            got = told(&mut got) => got,
        }
    };
    let (_nth, _unanswered) = unanswered.await;
    let (quick, ()) = join!(upstream.call(post()), async { answer(told(&mut got).await.1, "quick") });
    assert_eq!(text(quick).await, "quick");
    tokio::time::pause();
    assert_eq!(slow.await.expect_err("no answer").why, Why::TimedOut);
    tokio::time::resume();
    let (next, ()) = join!(upstream.call(post()), async { answer(told(&mut got).await.1, "next") });
    assert_eq!(text(next).await, "next");
    assert_eq!(server.connections(), 1);
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
