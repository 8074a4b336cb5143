//! What is forgotten, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::path::Path;
use shadowcat_control_plane::tapes::blobs::message_key;
use shadowcat_control_plane::tapes::index::{Filter, Hold, Known, Removal, Rewritten, SegmentRows, Unread, Which, Why};
use shadowcat_control_plane::tapes::retention::Passed;

use super::kept::{HOUR, Kept, RECORDS, Segment, THEN};
use crate::subject::Subject;
use crate::support::FLEET;

/// How often a pass is ended.
const ENDS: u64 = 50;

/// With this seed every run ends at the same steps.
const SEED: u64 = 11;

pub(crate) async fn what_is_older_than_its_recording_keeps_goes_with_its_object(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.configure(&[("short", "keep: 2h")]).await;
    for sequence in 1..=4 {
        kept.store(&Segment::new(sequence, &["short"])).await;
    }
    kept.store(&Segment::new(5, &["of the past"])).await;
    kept.store(&Segment::new(6, &[""])).await;
    kept.pass_at(5).await;
    assert_eq!(
        kept.by_segment().await,
        [(3, 8), (4, 8), (5, 8), (6, 8)],
        "what ends at the third hour is not yet older"
    );
    assert_eq!(kept.counted().0, 4);
    kept.pass_at(100).await;
    assert_eq!(kept.by_segment().await, [(5, 8), (6, 8)]);
    let tapes = kept.index.tapes(&Filter { fleet: FLEET.to_owned(), ..Filter::default() }, None, 10).await.unwrap();
    assert_eq!(tapes.iter().map(|tape| &*tape.id).collect::<Vec<_>>(), ["tape-6", "tape-5"]);
    // A week after it was recorded, what has no recording any more goes too.
    kept.pass_at(5 + 168 + 1).await;
    assert_eq!(kept.by_segment().await, [(6, 8)]);
    kept.pass_at(1_000).await;
    assert_eq!((kept.by_segment().await, kept.objects()), (vec![], BTreeSet::new()));
    assert!(kept.index.sources(FLEET).await.unwrap().is_empty());
}

pub(crate) async fn beyond_the_size_of_a_recording_the_oldest_goes(subject: Subject) {
    let kept = Kept::of(subject).await;
    for sequence in 1..=5 {
        kept.store(&Segment::new(sequence, &["small"])).await;
    }
    kept.store(&Segment::new(6, &["other"])).await;
    kept.configure(&[("small", "max_size: 3Ki"), ("other", "keep: 48h")]).await;
    kept.pass_at(7).await;
    assert_eq!(kept.by_segment().await, [(3, 8), (4, 8), (5, 8), (6, 8)]);
    // A segment that another recording has a part of counts for the rest of it, and its part goes alone.
    kept.store(&Segment::new(7, &["small", "other"])).await;
    kept.pass_at(8).await;
    assert_eq!(kept.by_segment().await, [(4, 8), (5, 8), (6, 8), (7, 8)]);
    assert_eq!(kept.counted().0, 4);
}

pub(crate) async fn what_is_on_hold_stays_until_it_is_released(subject: Subject) {
    let kept = Kept::of(subject).await;
    for sequence in 1..=3 {
        kept.store(&Segment::new(sequence, &[""])).await;
    }
    let held = ["tape-2".to_owned()];
    kept.index.hold(FLEET, &held, Hold::Held).await.unwrap();
    kept.pass_at(1_000).await;
    kept.pass_at(1_001).await;
    assert_eq!((kept.by_segment().await, kept.counted().0), (vec![(2, 8)], 1));
    assert!(kept.index.fleets_kept().await.unwrap().is_empty(), "it is not looked at again and again");
    kept.index.hold(FLEET, &held, Hold::Released).await.unwrap();
    kept.pass_at(1_001).await;
    assert_eq!((kept.by_segment().await, kept.counted().0), (vec![], 0));
}

pub(crate) async fn of_several_recordings_in_a_segment_each_is_forgotten_in_its_time(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.configure(&[("short", "keep: 1h"), ("middle", "keep: 24h"), ("long", "keep: 240h")]).await;
    kept.store(&Segment::new(1, &["short", "middle", "middle", "long"])).await;
    let segment = kept.found().await[0].segment;
    let whole = kept.objects();
    kept.pass_at(3).await;
    assert_eq!(kept.by_segment().await, [(1, 6)]);
    assert_eq!(kept.objects(), whole, "a quarter is not worth writing the rest");
    kept.pass_at(30).await;
    let places: Vec<u64> = kept.found().await.iter().map(|frame| frame.seq).collect();
    assert_eq!(places, [9, 5]);
    assert_eq!(kept.lines(segment).await, BTreeSet::from([1, 5, 9]), "three quarters are: the head and what is left");
    assert!(kept.objects().is_disjoint(&whole));
    let source = &kept.index.sources(FLEET).await.unwrap()[0];
    assert_eq!((source.segments, source.frames, source.gaps.len()), (1, 2, 0));
    let tape = &kept.index.tapes(&Filter { fleet: FLEET.to_owned(), ..Filter::default() }, None, 10).await.unwrap()[0];
    assert_eq!((tape.frames, tape.calls, tape.errors, tape.bytes), (2, 2, 0, 20));
    assert_eq!((tape.first_at, tape.last_at), (THEN + HOUR + 3, THEN + HOUR + 7));
    kept.pass_at(300).await;
    assert_eq!((kept.found().await.len(), kept.objects().len()), (0, 0));
}

pub(crate) async fn a_message_goes_with_the_last_segment_that_refers_to_it(subject: Subject) {
    const MESSAGE: &[u8] = b"large";
    let kept = Kept::of(subject).await;
    kept.configure(&[("short", "keep: 1h"), ("long", "keep: 24h")]).await;
    kept.store(&Segment { message: Some(MESSAGE), ..Segment::new(1, &["short"]) }).await;
    kept.store(&Segment { message: Some(MESSAGE), ..Segment::new(2, &["long"]) }).await;
    kept.pass_at(10).await;
    assert_eq!(kept.counted(), (1, 1));
    kept.pass_at(40).await;
    assert_eq!(kept.counted(), (0, 1), "a node may have been told that it is here");
    let (next, hash) = (Segment::new(9, &["short"]), *blake3::hash(MESSAGE).as_bytes());
    kept.pass_at(42).await;
    assert_eq!((kept.counted(), kept.index.totals(FLEET).await.unwrap().messages), ((0, 0), 0));
    assert_eq!(kept.known(&next, &[hash]).await.unwrap(), Known::Missing(vec![hash]));
    // One that is listed as discarded is not asked for while it is being deleted, and is listed no more when it is asked for.
    let object = message_key(FLEET, &blake3::hash(MESSAGE)).to_string();
    kept.index.discard(&object, THEN).await.unwrap();
    assert_eq!(kept.known(&next, &[hash]).await.unwrap(), Known::Missing(vec![hash]));
    assert!(kept.index.discarded(i64::MAX, 10).await.unwrap().is_empty());
    kept.index.discard(&object, THEN).await.unwrap();
    assert_eq!(kept.index.take_discarded(std::slice::from_ref(&object), i64::MAX).await.unwrap(), [object]);
    assert!(kept.known(&next, &[hash]).await.is_err());
}

pub(crate) async fn a_message_that_cannot_be_deleted_is_wanted_again(subject: Subject) {
    const MESSAGE: &[u8] = b"large";
    let kept = Kept::of(subject).await;
    kept.configure(&[("short", "keep: 1h"), ("long", "keep: 9000h")]).await;
    kept.store(&Segment { message: Some(MESSAGE), ..Segment::new(1, &["short"]) }).await;
    // Nobody deletes a directory, or what is in it, for an object.
    let path = kept.place.path().join(message_key(FLEET, &blake3::hash(MESSAGE)).to_string());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("in the way")).unwrap();
    kept.pass_at(3).await;
    kept.failed_pass_at(5).await;
    assert_eq!(kept.index.totals(FLEET).await.unwrap().messages, 0);
    kept.pass_at(5).await;
    // A node has it still, and sends it.
    let segment = Segment { message: Some(MESSAGE), ..Segment::new(2, &["long"]) };
    let hash = *blake3::hash(MESSAGE).as_bytes();
    assert_eq!(kept.known(&segment, &[hash]).await.unwrap(), Known::Missing(vec![hash]));
    std::fs::remove_dir_all(&path).unwrap();
    kept.store(&segment).await;
    kept.pass_at(6).await;
    assert_eq!((kept.by_segment().await, kept.counted()), (vec![(2, 8)], (1, 1)));
}

pub(crate) async fn what_cannot_be_forgotten_holds_up_nothing_else(subject: Subject) {
    /// More than are looked up at once.
    const STUCK: u64 = 101;
    let kept = Kept::of(subject).await;
    let mut rows = Vec::new();
    for sequence in 1..=STUCK + 6 {
        let recording = if sequence > STUCK + 3 { "small" } else { "short" };
        rows.push(Segment::new(sequence, &[recording]).rows());
    }
    kept.index.commit(&rows).await.unwrap();
    kept.configure(&[("short", "keep: 1h"), ("small", "max_size: 1Ki")]).await;
    kept.stuck(1, i64::try_from(STUCK).unwrap()).await;
    let told = kept.failed_pass_at(200).await;
    assert!(told.contains("it is stuck"), "{told}");
    let left: Vec<u64> = kept.by_segment().await.into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(left, (1..=STUCK).chain([STUCK + 6]).collect::<Vec<_>>());
}

pub(crate) async fn beyond_a_size_nothing_goes_in_the_place_of_what_cannot(subject: Subject) {
    let kept = Kept::of(subject).await;
    let rows: Vec<SegmentRows> = (1..=6).map(|sequence| Segment::new(sequence, &["small"]).rows()).collect();
    kept.index.commit(&rows).await.unwrap();
    kept.configure(&[("small", "max_size: 3Ki")]).await;
    kept.stuck(1, 1).await;
    kept.failed_pass_at(7).await;
    assert_eq!(kept.by_segment().await, [(1, 8), (4, 8), (5, 8), (6, 8)]);
}

pub(crate) async fn what_was_deleted_is_neither_missed_nor_taken_again(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.configure(&[("short", "keep: 1h"), ("long", "keep: 240h")]).await;
    for (sequence, recording) in [(1, "short"), (2, "short"), (3, "long"), (5, "short"), (7, "short"), (8, "long")] {
        kept.store(&Segment::new(sequence, &[recording])).await;
    }
    let gaps = async || {
        let sources = kept.index.sources(FLEET).await.unwrap();
        let gaps = sources[0].gaps.iter().map(|gap| (gap.after, gap.before, gap.why.clone())).collect::<Vec<_>>();
        (gaps, sources[0].segments, sources[0].frames, sources[0].last_record)
    };
    let unshipped = |before: u64, after: u64| (before * RECORDS, after * RECORDS + 1, "not_shipped".to_owned());
    assert_eq!(gaps().await.0, [unshipped(3, 4), unshipped(5, 6)]);
    kept.pass_at(10).await;
    assert_eq!(kept.by_segment().await, [(3, 8), (8, 8)]);
    // What never came between two that are gone has nobody left who misses it.
    assert_eq!(gaps().await, (vec![unshipped(3, 4)], 2, 16, 8 * RECORDS));
    for (sequence, known) in [(2, Known::Stored), (7, Known::Stored), (6, Known::Missing(vec![]))] {
        assert_eq!(kept.known(&Segment::new(sequence, &["short"]), &[]).await.unwrap(), known, "{sequence}");
    }
    // It came all the same, on a stream that had asked before.
    kept.store(&Segment::new(2, &["short"])).await;
    assert_eq!((kept.by_segment().await, kept.counted().0), (vec![(3, 8), (8, 8)], 3));
    kept.pass_at(10).await;
    assert_eq!(kept.counted().0, 2);
}

pub(crate) async fn what_is_kept_as_bytes_alone_is_forgotten_without_its_twin(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.configure(&[("short", "keep: 1h"), ("long", "keep: 8760h")]).await;
    for sequence in 1..=3 {
        kept.store(&Segment::new(sequence, &["long"])).await;
    }
    let copies = [Segment::new(2, &["short"]), Segment::new(5, &["short"])];
    for (segment, unread) in copies.iter().zip([Unread::Twin, Unread::NotIndexed]) {
        let rows = segment.rows().unread(unread, "of a copy");
        kept.blobs.put(&Path::from(rows.object.as_str()), segment.sealed().into()).await.unwrap();
        kept.index.commit(&[rows]).await.unwrap();
    }
    let gaps = async || {
        let sources = kept.index.sources(FLEET).await.unwrap();
        sources[0].gaps.iter().map(|gap| (gap.after, gap.before, gap.why.clone())).collect::<Vec<_>>()
    };
    let (twin, lost) = ((9, 19, "twin".to_owned()), (36, 46, "not_indexed".to_owned()));
    let unshipped = (27, 37, "not_shipped".to_owned());
    assert_eq!(gaps().await, [twin, unshipped, lost]);
    assert_eq!(kept.counted().0, 5);
    // They have no recording any more that says how long they are kept.
    kept.pass_at(5 + 168 + 1).await;
    assert_eq!((kept.counted().0, gaps().await), (3, vec![(27, 37, "not_shipped".to_owned())]));
    kept.assert_readable().await;
    assert_eq!(kept.known(&Segment::new(2, &["long"]), &[]).await.unwrap(), Known::Stored);
}

pub(crate) async fn what_is_removed_by_order_is_in_no_object_after_the_next_pass(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.store(&Segment { message: Some(b"large"), ..Segment::new(1, &[""]) }).await;
    let segment = kept.found().await[0].segment;
    let removal = |places: &[u64]| Removal { segment, which: Which::Places(places.to_vec()), why: Why::Order };
    let removed = kept.index.remove(&removal(&[2, 99]), THEN).await.unwrap();
    assert_eq!((removed.frames, removed.bytes, removed.segment), (1, 10, None));
    assert!(kept.lines(segment).await.contains(&2));
    kept.pass_at(2).await;
    assert_eq!(kept.lines(segment).await, (1..=9).filter(|seq| *seq != 2).collect());
    // More goes while the object is being written.
    kept.index.remove(&removal(&[3]), THEN).await.unwrap();
    let rewriting = kept.index.rewriting(segment).await.unwrap().unwrap();
    kept.index.remove(&removal(&[4]), THEN).await.unwrap();
    let from = rewriting.object.clone();
    kept.blobs.put(&Path::from("segments/new.zst"), Segment::new(1, &[""]).sealed().into()).await.unwrap();
    kept.index.discard("segments/new.zst", THEN + 3 * HOUR).await.unwrap();
    let rewritten = Rewritten {
        from: rewriting,
        object: "segments/new.zst".to_owned(),
        stored_bytes: 1,
        plain_bytes: 1,
        places: BTreeMap::new(),
        messages: Vec::new(),
    };
    assert!(kept.index.rewritten(&rewritten, THEN).await.unwrap());
    assert!(!kept.index.rewritten(&rewritten, THEN).await.unwrap(), "{from} is not its object any more");
    kept.pass_at(2).await;
    assert_eq!(kept.lines(segment).await, BTreeSet::from([1, 5, 6, 7, 8, 9]));
    assert_eq!(kept.counted(), (1, 1));
    kept.pass_at(4).await;
    assert_eq!(kept.counted(), (1, 0), "the message was that of a frame that is gone");
}

pub(crate) async fn what_the_index_has_never_heard_of_is_found_and_deleted_unless_its_node_comes_back(
    subject: Subject,
) {
    let kept = Kept::of(subject).await;
    kept.configure(&[("long", "keep: 87600h")]).await;
    kept.store(&Segment { message: Some(b"large"), ..Segment::new(1, &["long"]) }).await;
    // A control plane died between bytes and rows, three times.
    let segment = |sequence| Segment { message: Some(b"larger"), ..Segment::new(sequence, &["long"]) };
    let object = |sequence| segment(sequence).rows().object;
    for sequence in 2..=4 {
        kept.blobs.put(&Path::from(object(sequence)), segment(sequence).sealed().into()).await.unwrap();
    }
    kept.blobs.put(&message_key(FLEET, &blake3::hash(b"larger")), Bytes::from_static(b"x")).await.unwrap();
    let unfinished = kept.place.path().join(format!("{}#1", object(2)));
    std::fs::write(&unfinished, b"hal").unwrap();
    // Objects have the time of this machine.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    let hours = (i64::try_from(now).unwrap() - THEN) / HOUR;
    let sweep_at = async |hours: i64| {
        kept.clock.store(THEN + hours * HOUR, Ordering::Relaxed);
        // The turn before ends when Postgres has seen its connection go.
        while kept.retention().sweep().await.unwrap() != Passed::Here {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    sweep_at(hours).await;
    kept.pass_at(hours + 3).await;
    assert_eq!(kept.counted(), (4, 2), "they may be on their way");
    assert!(unfinished.exists());
    sweep_at(hours + 26).await;
    assert!(!unfinished.exists());
    assert_eq!(kept.index.discarded(i64::MAX, 10).await.unwrap().len(), 3);
    // A node comes back at once, another asks first, and one is late: it is being deleted, and could be deleted.
    kept.index.commit(&[SegmentRows { messages: vec![], ..segment(2).rows() }]).await.unwrap();
    kept.index.take_back(&object(3), THEN + (hours + 26) * HOUR).await.unwrap();
    let late = THEN + (hours + 27) * HOUR;
    assert_eq!(kept.index.take_discarded(&[object(4)], late).await.unwrap(), [object(4)]);
    assert!(kept.index.take_back(&object(4), late).await.is_err());
    kept.pass_at(hours + 28).await;
    assert_eq!(kept.counted(), (3, 1));
    assert!(kept.index.take_back(&object(4), THEN).await.is_ok());
    kept.assert_readable().await;
}

pub(crate) async fn a_fleet_whose_configuration_is_not_known_loses_nothing(subject: Subject) {
    let kept = Kept::without_configuration(subject).await;
    kept.store(&Segment::new(1, &[""])).await;
    kept.pass_at(1_000).await;
    assert_eq!(kept.by_segment().await, [(1, 8)], "its database of versions may have been lost");
    kept.commit_version(b"no configuration".to_vec()).await;
    kept.pass_at(1_000).await;
    assert_eq!(kept.by_segment().await, [(1, 8)], "nobody can read it");
    kept.configure(&[]).await;
    kept.pass_at(1_000).await;
    assert!(kept.by_segment().await.is_empty());
}

pub(crate) async fn what_has_no_recording_any_more_is_kept_as_that_last_said(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.store(&Segment::new(1, &["year"])).await;
    kept.store(&Segment::new(2, &["small"])).await;
    kept.store(&Segment::new(3, &["small"])).await;
    kept.configure(&[("year", "keep: 8760h"), ("small", "max_size: 2Ki")]).await;
    kept.pass_at(4).await;
    // Both are renamed.
    kept.store(&Segment::new(4, &["small"])).await;
    kept.configure(&[("years", "keep: 17520h")]).await;
    kept.pass_at(5).await;
    assert_eq!(kept.by_segment().await, [(1, 8), (3, 8), (4, 8)]);
    kept.pass_at(8_000).await;
    assert_eq!(kept.by_segment().await, [(1, 8)]);
    kept.pass_at(8_770).await;
    assert!(kept.by_segment().await.is_empty());
}

/// Polls a future so often, at most, and drops it then.
async fn at_most<T>(polls: u64, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (Box::pin(future), polls);
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

pub(crate) async fn whenever_a_pass_ends_every_frame_that_is_found_is_read_and_no_object_stays_for_ever(
    subject: Subject,
) {
    let kept = Kept::of(subject).await;
    kept.configure(&[("short", "keep: 1h"), ("long", "keep: 9000h"), ("small", "max_size: 1Ki")]).await;
    let mut random = fastrand::Rng::with_seed(SEED);
    let (mut sequence, mut ended) = (0, 0);
    for _ in 0..ENDS {
        for recordings in [&["short"][..], &["short", "short", "long"], &["small", "small", "long"]] {
            sequence += 1;
            kept.store(&Segment { message: Some(b"large"), ..Segment::new(sequence, recordings) }).await;
        }
        if random.bool() {
            let segment = kept.found().await[random.usize(..4)].segment;
            let places = kept.lines(segment).await.into_iter().take(3).collect();
            let removal = Removal { segment, which: Which::Places(places), why: Why::Order };
            kept.index.remove(&removal, kept.clock.load(Ordering::Relaxed)).await.unwrap();
        }
        kept.clock.store(THEN + (i64::try_from(sequence).unwrap() + 3) * HOUR, Ordering::Relaxed);
        let retention = kept.retention();
        ended += u64::from(at_most(random.u64(1..120), retention.pass()).await.is_none());
        kept.assert_readable().await;
    }
    assert!(ended > ENDS / 2, "{ended} of {ENDS} passes were ended; seed {SEED}");
    // What was listed before it was written, and never referred to, is due after an hour.
    kept.pass_at(i64::try_from(sequence).unwrap() + 5).await;
    kept.assert_readable().await;
    let mut referred = BTreeSet::new();
    for frame in kept.found().await {
        let segment = kept.index.segments(&[frame.segment]).await.unwrap();
        referred.insert(segment[0].object.clone());
    }
    assert!(!referred.is_empty());
    referred.insert(message_key(FLEET, &blake3::hash(b"large")).to_string());
    assert_eq!(kept.objects(), referred, "seed {SEED}");
}
