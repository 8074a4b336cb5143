//! The generator against servers that keep their word, and against some that do not.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::answer::check;
use super::connection::{Connection, Media};
use super::{Outcome, Pace, Plan, hold_streams, run};
use crate::exchange::{Call, FIRST_ID, write_answer, write_progress};
use crate::{floor, upstream};

const EVENTS: Call = Call::Sse { events: 2 };

fn answer(id: u64) -> String {
    let mut text = String::new();
    write_answer(&mut text, id);
    text
}

fn stream(progress: &[u32]) -> String {
    let events = progress.iter().map(|progress| {
        let mut text = String::new();
        write_progress(&mut text, FIRST_ID, *progress);
        format!("id: 1-{progress}\r\ndata: {text}\r\n\r\n")
    });
    events.collect::<String>() + &format!(": comment\n\ndata:\n\ndata:{}\n\n", answer(FIRST_ID))
}

fn verdict(call: Call, media: &Media, body: &str) -> anyhow::Result<()> {
    check(call, FIRST_ID, media, body.as_bytes(), &mut String::new())
}

#[test]
fn the_answer_that_was_due_passes() {
    verdict(Call::Json, &Media::Json, &answer(FIRST_ID)).unwrap();
}

#[test]
fn an_answer_to_another_request_is_an_error() {
    verdict(Call::Json, &Media::Json, &answer(FIRST_ID + 1)).unwrap_err();
}

#[test]
fn a_stream_may_carry_ids_comments_and_empty_events_between_its_messages() {
    verdict(EVENTS, &Media::EventStream, &stream(&[1, 2])).unwrap();
}

#[test]
fn events_lost_doubled_or_out_of_order_are_errors() {
    for progress in [&[1][..], &[2], &[2, 1], &[1, 1], &[1, 2, 2], &[]] {
        verdict(EVENTS, &Media::EventStream, &stream(progress)).unwrap_err();
    }
}

#[test]
fn a_stream_that_ends_before_its_answer_is_an_error() {
    let whole = stream(&[1, 2]);
    let cut = &whole[..whole.rfind("data:").unwrap()];
    verdict(EVENTS, &Media::EventStream, cut).unwrap_err();
}

#[test]
fn the_wrong_kind_of_answer_is_an_error() {
    verdict(EVENTS, &Media::Json, &answer(FIRST_ID)).unwrap_err();
    verdict(Call::Json, &Media::EventStream, &stream(&[])).unwrap_err();
}

/// The address of a server on a thread of its own, which lasts as long as the test program.
fn serve<F: Future>(server: impl FnOnce(TcpListener) -> F + Send + 'static) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        super::runtime().unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            server(listener).await;
        });
    });
    told.recv().unwrap()
}

fn load(target: SocketAddr, call: Call, pace: Pace) -> Outcome {
    let plan = Plan {
        target,
        connections: 3,
        call,
        pace,
        warm_up: Duration::from_millis(20),
        measured: Duration::from_millis(200),
    };
    run(&plan, || Ok(())).unwrap().0
}

#[test]
fn every_kind_of_call_is_answered_right_by_the_reference_upstream_and_through_the_floor() {
    let upstream = serve(upstream::serve_on);
    let authority = upstream.to_string().parse().unwrap();
    let floor = serve(move |listener| floor::serve_on(listener, authority));
    for (target, call) in [(upstream, Call::Json), (upstream, EVENTS), (floor, Call::Json), (floor, EVENTS)] {
        let outcome = load(target, call, Pace::Closed);
        assert!(outcome.calls > 0 && outcome.errors == 0, "{outcome}");
    }
}

#[test]
fn an_open_loop_calls_at_its_rate() {
    let outcome = load(serve(upstream::serve_on), Call::Json, Pace::Open { calls_per_second: 100.0 });
    assert!((5..=25).contains(&outcome.calls), "{outcome}");
}

#[test]
fn idle_streams_are_all_open_when_the_second_reading_is_taken() {
    let mut readings = 0;
    hold_streams(serve(upstream::serve_on), 5, || {
        readings += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(readings, 2);
}

#[test]
fn a_server_that_hangs_up_is_an_error_and_no_end() {
    let outcome =
        load(serve(|listener| async move { while listener.accept().await.is_ok() {} }), Call::Json, Pace::Closed);
    assert_eq!(outcome.calls, 0);
    assert!(outcome.errors >= 3, "{outcome}");
}

#[tokio::test]
async fn a_chunked_answer_is_read_however_it_is_cut() {
    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, again\r\n0\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    server.set_nodelay(true).unwrap();
    let send = async {
        for byte in ANSWER {
            server.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let mut body = Vec::new();
    let read = async {
        let head = connection.read_head().await.unwrap();
        connection.read_body(&head, &mut body).await.unwrap();
    };
    tokio::join!(send, read);
    assert_eq!(body, b"hello, again");
}
