use std::future::poll_fn;
use std::pin::Pin;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::task::JoinSet;

use super::burst::MAX_BYTES;
use super::{SendError, UpstreamBody};
use crate::{Stage, UpstreamError, Why};

fn failure() -> UpstreamError {
    UpstreamError::sent("files", Stage::Body, Why::Unreachable, "broke off")
}

async fn burst(body: &mut UpstreamBody) -> Option<Result<Vec<Bytes>, UpstreamError>> {
    let mut out = Vec::new();
    let outcome = poll_fn(|cx| Pin::new(&mut *body).poll_burst(cx, &mut out)).await?;
    Some(outcome.map(|()| out))
}

#[tokio::test]
async fn a_full_body_knows_its_size_and_comes_in_one_frame() {
    let body = UpstreamBody::full("hello");
    assert_eq!(body.size_hint().exact(), Some(5));
    assert_eq!(body.collect().await.expect("whole").to_bytes(), "hello");
    assert!(UpstreamBody::empty().is_end_stream());
}

#[tokio::test]
async fn a_channel_body_ends_when_its_sender_is_dropped() {
    let (sender, body) = UpstreamBody::channel(2);
    sender.send("a".into()).await.expect("read later");
    sender.send("b".into()).await.expect("read later");
    assert_eq!(sender.try_send("c".into()), Err(SendError::Full));
    drop(sender);
    assert_eq!(body.collect().await.expect("whole").to_bytes(), "ab");
}

#[tokio::test]
async fn a_sender_learns_that_its_body_was_dropped() {
    let (sender, body) = UpstreamBody::channel(1);
    drop(body);
    sender.closed().await;
    assert_eq!(sender.send("a".into()).await, Err(SendError::Closed));
}

#[tokio::test]
async fn a_failure_comes_once_and_after_the_frames_before_it() {
    let (sender, mut body) = UpstreamBody::channel(2);
    sender.send("a".into()).await.expect("read later");
    sender.fail(failure());
    assert!(body.frame().await.expect("a frame").is_ok());
    assert!(!body.is_end_stream());
    assert_eq!(body.frame().await.expect("the failure").expect_err("the failure").why, Why::Unreachable);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_burst_gathers_what_is_there_and_ends_before_what_is_not() {
    let (sender, mut body) = UpstreamBody::channel(8);
    for frame in ["a", "b", "c"] {
        sender.send(frame.into()).await.expect("room");
    }
    assert_eq!(burst(&mut body).await.expect("open").expect("frames"), ["a", "b", "c"]);
    sender.send("d".into()).await.expect("room");
    drop(sender);
    assert_eq!(burst(&mut body).await.expect("open").expect("frames"), ["d"]);
    assert!(burst(&mut body).await.is_none());
}

#[tokio::test]
async fn a_burst_gathers_what_a_task_hands_over_one_by_one() {
    let (sender, mut body) = UpstreamBody::channel(1);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for _ in 0..50 {
            sender.send("event".into()).await.expect("read");
        }
    });
    let mut bursts = 0;
    while let Some(gathered) = burst(&mut body).await {
        gathered.expect("frames");
        bursts += 1;
    }
    assert!(bursts <= 5, "{bursts} bursts of 50 events");
}

#[tokio::test]
async fn a_burst_is_cut_off_at_its_size() {
    let (sender, mut body) = UpstreamBody::channel(8);
    for _ in 0..4 {
        sender.send(vec![b'x'; MAX_BYTES / 2].into()).await.expect("room");
    }
    assert_eq!(burst(&mut body).await.expect("open").expect("frames").len(), 2);
    assert_eq!(burst(&mut body).await.expect("open").expect("frames").len(), 2);
}

#[tokio::test]
async fn a_burst_delivers_what_came_before_a_failure() {
    let (sender, mut body) = UpstreamBody::channel(8);
    sender.send("a".into()).await.expect("room");
    sender.fail(failure());
    assert_eq!(burst(&mut body).await.expect("open").expect("frames"), ["a"]);
    assert!(burst(&mut body).await.expect("the failure").is_err());
    assert!(burst(&mut body).await.is_none());
}
