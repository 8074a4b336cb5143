//! Messages that are kept apart: what they count, and when they go.

use std::future::Future;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use shadowcat_control_plane::store::StoreError;
use shadowcat_control_plane::tapes::blobs::message_key;
use shadowcat_control_plane::tapes::index::{Committed, Hold, Known, Offered, Removal, SegmentRows, Share, Which, Why};
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

/// Stored bytes of a recording.
async fn stored_bytes(kept: &Kept, name: &str) -> u64 {
    let recordings = kept.index.recordings_kept(FLEET).await.unwrap();
    kept.index.stored_bytes(recordings.iter().find(|recording| recording.name == name).unwrap()).await.unwrap()
}

pub(crate) async fn a_message_that_is_used_again_counts_again_when_it_is_offered(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.store(&Segment::new(1, &[""])).await;
    let (hash, _) = unused(&kept, 1).await;
    let rows = SegmentRows { messages: vec![(hash, STORED)], ..Segment::new(2, &["often"]).rows() };
    kept.index.commit(&[rows]).await.unwrap();
    assert_eq!(kept.known(&Segment::new(3, &["often"]), &[hash]).await.unwrap(), Known::Missing(vec![]));
    assert_eq!(stored_bytes(&kept, "often").await, 2 * STORED);
}

pub(crate) async fn a_message_stays_and_counts_whenever_one_segment_goes_and_another_comes(subject: Subject) {
    let kept = Kept::of(subject).await;
    for point in 0..POINTS {
        let hash = *blake3::hash(&point.to_be_bytes()).as_bytes();
        let with = |sequence: u64, recording| SegmentRows {
            messages: vec![(hash, STORED)],
            ..Segment::new(sequence, &[recording]).rows()
        };
        assert_eq!(kept.index.commit(&[with(2 * point + 1, "old")]).await.unwrap(), [Committed::New]);
        let recordings = kept.index.recordings_kept(FLEET).await.unwrap();
        let old = recordings.iter().find(|recording| recording.name == "old").unwrap();
        let share = kept.index.shares(old, Share::BEGINNING, i64::MAX, 1).await.unwrap()[0];
        let removal = Removal { segment: share.segment, which: Which::Recording(share.recording), why: Why::Age };
        let rows = [with(2 * point + 2, "new")];
        let (committed, removed, over) =
            held_up(point, kept.index.commit(&rows), kept.index.remove(&removal, THEN)).await;
        assert_eq!(committed.unwrap(), [Committed::New]);
        assert!(removed.unwrap().segment.is_some(), "at point {point}");
        kept.index.discard_messages(THEN + 1, THEN, 10).await.unwrap();
        assert!(kept.index.discarded(i64::MAX, 1_000).await.unwrap().iter().all(|key| !key.starts_with("blobs")));
        assert_eq!(stored_bytes(&kept, "new").await, (point + 1) * 2 * STORED, "at point {point}");
        if over {
            break;
        }
    }
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
                assert!(!is_listed(&kept, &key).await, "at point {point}");
                outcomes.0 += u64::from(known == Known::Missing(vec![]));
                outcomes.1 += u64::from(known == Known::Missing(vec![hash]));
            }
            Err(told) => {
                assert!(told.to_string().contains("is wanted after that") && is_listed(&kept, &key).await, "{told}");
            }
        }
        if over {
            break;
        }
    }
    assert!(outcomes.0 > 0 && outcomes.1 > 0, "both come first somewhere: {outcomes:?}");
}

pub(crate) async fn a_message_that_is_discarded_is_sent_again_or_deleted_whenever_a_node_asks(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.store(&Segment::new(1, &[""])).await;
    let segment = Segment::new(9, &[""]);
    let mut outcomes = (0, 0);
    for point in 0..POINTS {
        let (hash, key) = unused(&kept, point).await;
        kept.index.discard_messages(THEN + 1, THEN, 10).await.unwrap();
        let (messages, keys) = ([hash], [key.clone()]);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
        let taking = kept.index.take_discarded(&keys, i64::try_from(now).unwrap());
        let (asked, taken, over) = held_up(point, kept.known(&segment, &messages), taking).await;
        let taken = taken.unwrap();
        match asked {
            Ok(known) => {
                assert_eq!((known, taken.len()), (Known::Missing(vec![hash]), 0), "at point {point}");
                assert!(!is_listed(&kept, &key).await, "at point {point}");
                outcomes.0 += 1;
            }
            Err(told) => {
                assert!(matches!(told, StoreError::NotNow(_)) && taken == keys, "at point {point}: {told}");
                outcomes.1 += 1;
            }
        }
        if over {
            break;
        }
    }
    assert!(outcomes.0 > 0 && outcomes.1 > 0, "both come first somewhere: {outcomes:?}");
}

pub(crate) async fn a_segment_whose_message_is_discarded_meanwhile_is_stored(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.store(&Segment::new(1, &[""])).await;
    for point in 0..POINTS {
        let (hash, key) = unused(&kept, point).await;
        let rows = [SegmentRows { messages: vec![(hash, STORED)], ..Segment::new(point + 2, &[""]).rows() }];
        let commit = kept.index.commit(&rows);
        let (committed, discarded, over) =
            held_up(point, commit, kept.index.discard_messages(THEN + 1, THEN, 10)).await;
        discarded.unwrap();
        assert_eq!(committed.unwrap(), [Committed::New], "at point {point}");
        kept.index.discard_messages(THEN + 1, THEN, 10).await.unwrap();
        assert!(!is_listed(&kept, &key).await, "at point {point}");
        if over {
            break;
        }
    }
}

pub(crate) async fn a_segment_whose_message_is_being_deleted_is_stored_after_that(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.store(&Segment::new(1, &[""])).await;
    let mut outcomes = (0, 0);
    for point in 0..POINTS {
        let (hash, key) = unused(&kept, point).await;
        kept.index.discard_messages(THEN + 1, THEN, 10).await.unwrap();
        let rows = [SegmentRows { messages: vec![(hash, STORED)], ..Segment::new(point + 2, &[""]).rows() }];
        let keys = [key.clone()];
        let (committed, taken, over) =
            held_up(point, kept.index.commit(&rows), kept.index.take_discarded(&keys, THEN)).await;
        let taken = taken.unwrap();
        if let Err(told) = committed {
            assert!(matches!(told, StoreError::NotNow(_)) && taken == keys, "at point {point}: {told}");
            kept.index.forget(&keys).await.unwrap();
            assert_eq!(kept.index.commit(&rows).await.unwrap(), [Committed::New]);
            outcomes.1 += 1;
        } else {
            assert!(taken.is_empty() && !is_listed(&kept, &key).await, "at point {point}");
            outcomes.0 += 1;
        }
        if over {
            break;
        }
    }
    assert!(outcomes.0 > 0 && outcomes.1 > 0, "both come first somewhere: {outcomes:?}");
}
