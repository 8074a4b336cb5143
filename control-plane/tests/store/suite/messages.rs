//! Messages that are kept apart: what they count, and when they go.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use shadowcat_control_plane::tapes::blobs::message_key;
use shadowcat_control_plane::tapes::index::{Committed, Hold, Known, Offered, SegmentRows};
use shadowcat_tape::segment::SegmentId;

use super::kept::{INSTANCE, Kept, STORED, Segment, THEN};
use crate::subject::Subject;
use crate::support::FLEET;

/// Points at which one question is held up while another is answered: more than any question has.
pub(crate) const POINTS: u64 = 80;

/// What is not answered by then waits for the one that is held up.
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);

const OWN: [&[u8]; 5] = [b"6", b"7", b"8", b"9", b"10"];

pub(crate) async fn a_message_counts_once_however_many_segments_refer_to_it(subject: Subject) {
    let kept = Kept::of(subject).await;
    for sequence in 1..=5 {
        kept.store(&Segment { message: Some(b"shared"), ..Segment::new(sequence, &["shared"]) }).await;
    }
    for (sequence, message) in (6..).zip(OWN) {
        kept.store(&Segment { message: Some(message), ..Segment::new(sequence, &["own"]) }).await;
    }
    // Five segments and a message; five segments and five messages.
    kept.configure(&[("shared", "max_size: 6Ki"), ("own", "max_size: 10Ki")]).await;
    kept.pass_at(11).await;
    assert_eq!(kept.by_segment().await.len(), 10);
    kept.configure(&[("shared", "max_size: 4Ki"), ("own", "max_size: 4Ki")]).await;
    kept.pass_at(11).await;
    assert_eq!(kept.by_segment().await, [(3, 8), (4, 8), (5, 8), (9, 8), (10, 8)]);

    // Of a segment of two recordings, the message is that of the frame that refers to it, and leaves with it.
    kept.store(&Segment { message: Some(b"mixed"), ..Segment::new(11, &["mixed", "own", "own", "own"]) }).await;
    kept.configure(&[("shared", "max_size: 4Ki"), ("own", "max_size: 5Ki"), ("mixed", "max_size: 1Ki")]).await;
    kept.pass_at(12).await;
    assert_eq!(kept.by_segment().await, [(3, 8), (4, 8), (5, 8), (9, 8), (10, 8), (11, 6)]);

    // What is on hold counts to nothing, and neither do its messages.
    let held = ["tape-3".to_owned()];
    kept.index.hold(FLEET, &held, Hold::Held).await.unwrap();
    kept.configure(&[("shared", "max_size: 1Ki"), ("own", "max_size: 5Ki")]).await;
    kept.pass_at(12).await;
    kept.store(&Segment::new(12, &["shared"])).await;
    kept.pass_at(13).await;
    assert_eq!(kept.by_segment().await, [(3, 8), (9, 8), (10, 8), (11, 6), (12, 8)]);
    kept.index.hold(FLEET, &held, Hold::Released).await.unwrap();
    kept.configure(&[("shared", "max_size: 3Ki"), ("own", "max_size: 5Ki")]).await;
    kept.pass_at(13).await;
    assert_eq!(kept.by_segment().await[0], (3, 8), "two segments and a message");
    kept.configure(&[("shared", "max_size: 2Ki"), ("own", "max_size: 5Ki")]).await;
    kept.pass_at(13).await;
    assert_eq!(kept.by_segment().await, [(9, 8), (10, 8), (11, 6), (12, 8)]);
}

/// Holds up one future at a point, and lets another go before it where it can: what came of both, and whether the first has no such
/// point.
pub(crate) async fn held_up<A, B>(
    point: u64,
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, B, bool) {
    let (mut first, mut second, mut left) = (Box::pin(first), Box::pin(second), point);
    let early = std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        first.as_mut().poll(context).map(Some)
    });
    if let Some(first) = early.await {
        return (first, second.await, true);
    }
    if let Ok(second) = tokio::time::timeout(ANSWERED_WITHIN, &mut second).await {
        return (first.await, second, false);
    }
    let (second, first) = tokio::join!(second, first);
    (first, second, false)
}

/// A message that is here, and to which nothing refers for longer than one stays.
async fn unused(kept: &Kept, number: u64) -> ([u8; 32], String) {
    let hash = blake3::hash(&number.to_be_bytes());
    let key = message_key(FLEET, &hash).to_string();
    kept.index.discard_unknown(&[(key.clone(), STORED)], THEN, THEN).await.unwrap();
    (*hash.as_bytes(), key)
}

async fn is_listed(kept: &Kept, key: &str) -> bool {
    kept.index.discarded(i64::MAX, 1_000).await.unwrap().iter().any(|listed| listed == key)
}

pub(crate) async fn what_a_node_was_told_is_here_is_not_deleted_whenever_it_asks(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.store(&Segment::new(1, &[""])).await;
    let id = SegmentId::new(INSTANCE, 9).unwrap();
    let mut outcomes = (0, 0);
    for point in 0..POINTS {
        let (hash, key) = unused(&kept, point).await;
        let messages = [hash];
        let asked =
            kept.index.known(Offered { fleet: FLEET, node: "edge-1", id: &id, digest: &[9; 32], messages: &messages });
        let (asked, discarded, over) = held_up(point, asked, kept.index.discard_messages(THEN + 1, THEN, 10)).await;
        discarded.unwrap();
        match asked {
            Ok(known) => {
                assert_eq!((known, is_listed(&kept, &key).await), (Known::Missing(vec![]), false), "at point {point}");
                outcomes.0 += 1;
            }
            Err(told) => {
                assert!(told.to_string().contains("is wanted after that") && is_listed(&kept, &key).await, "{told}");
                outcomes.1 += 1;
            }
        }
        if over {
            break;
        }
    }
    assert!(outcomes.0 > 0 && outcomes.1 > 0, "both come first somewhere: {outcomes:?}");
}

pub(crate) async fn a_segment_whose_message_is_being_deleted_is_stored_after_that(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.store(&Segment::new(1, &[""])).await;
    let mut outcomes = (0, 0);
    for point in 0..POINTS {
        let (hash, key) = unused(&kept, point).await;
        let rows = [SegmentRows { messages: vec![(hash, STORED)], ..Segment::new(point + 2, &[""]).rows() }];
        let commit = kept.index.commit(&rows);
        let (committed, discarded, over) =
            held_up(point, commit, kept.index.discard_messages(THEN + 1, THEN, 10)).await;
        discarded.unwrap();
        if let Err(told) = committed {
            assert!(told.to_string().contains("is wanted after that"), "{told}");
            assert!(is_listed(&kept, &key).await, "at point {point}");
            kept.index.forget(&[key]).await.unwrap();
            assert_eq!(kept.index.commit(&rows).await.unwrap(), [Committed::New]);
            outcomes.1 += 1;
        } else {
            kept.index.discard_messages(THEN + 1, THEN, 10).await.unwrap();
            assert!(!is_listed(&kept, &key).await, "at point {point}");
            outcomes.0 += 1;
        }
        if over {
            break;
        }
    }
    assert!(outcomes.0 > 0 && outcomes.1 > 0, "both come first somewhere: {outcomes:?}");
}
