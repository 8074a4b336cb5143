//! What is forgotten, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;
use std::time::SystemTime;

use bytes::Bytes;
use object_store::path::Path;
use prost::Message as _;
use shadowcat_config::digest;
use shadowcat_control_plane::store::NewVersion;
use shadowcat_control_plane::tapes::blobs::{Blobs, message_key, segment_key};
use shadowcat_control_plane::tapes::index::{
    self, Filter, FoundFrame, FrameRow, Hold, Index, Known, Removal, Rewritten, SegmentRows, TapeRow, What, Which, Why,
};
use shadowcat_control_plane::tapes::retention::{Passed, Retention};
use shadowcat_tape::line::encode;
use shadowcat_tape::record::{BlobRef, Head, Kind, Record};
use shadowcat_tape::segment::{Found, Scan, SegmentId, seal, unseal};
use tempfile::TempDir;

use crate::subject::Subject;
use crate::support::{FLEET, alice, version_in};

const INSTANCE: &str = "3f9a21c0000000000000000000000000";

/// A day in 2025, in microseconds since 1970.
const THEN: i64 = 1_763_700_000_000_000;

const HOUR: i64 = 60 * 60 * 1_000_000;

/// How often a pass is ended.
const ENDS: u64 = 50;

/// With this seed every run ends at the same steps.
const SEED: u64 = 11;

/// Frames of a segment, and records with its head.
const FRAMES: u64 = 8;
const RECORDS: u64 = FRAMES + 1;

/// Bytes of a segment, as its rows say: configurations say sizes in units of this.
const STORED: u64 = 1024;

/// An index, a directory of objects, and a clock that the test sets.
struct Kept {
    subject: Subject,
    index: Arc<dyn Index>,
    blobs: Blobs,
    place: TempDir,
    clock: Arc<AtomicI64>,
}

/// A segment of an hour: each frame has a recording, a tape, and perhaps a message that is kept apart.
struct Segment {
    sequence: u64,
    recordings: Vec<&'static str>,
    tape: String,
    message: Option<&'static [u8]>,
}

impl Segment {
    fn new(sequence: u64, recordings: &[&'static str]) -> Self {
        Self { sequence, recordings: recordings.to_vec(), tape: format!("tape-{sequence}"), message: None }
    }

    fn first_record(&self) -> u64 {
        (self.sequence - 1) * RECORDS + 1
    }

    fn at(&self) -> i64 {
        THEN + i64::try_from(self.sequence).unwrap() * HOUR
    }

    fn recording(&self, offset: u64) -> &'static str {
        self.recordings[usize::try_from(offset).unwrap() % self.recordings.len()]
    }

    fn sealed(&self) -> Vec<u8> {
        let (mut plain, mut sealed) = (Vec::new(), Vec::new());
        let clock = u64::try_from(self.at()).unwrap() * 1_000;
        let head = Head { instance: INSTANCE.into(), segment: self.sequence, clock, format: (1, 0), ..Head::default() };
        encode(&Record { k: Kind::Head, seq: self.first_record(), head: Some(head), ..Record::default() }, &mut plain);
        for offset in 0..FRAMES {
            let blob = self.message.filter(|_| offset == 0).map(|message| BlobRef {
                hash: blake3::hash(message).to_hex().to_string().into(),
                bytes: message.len() as u64,
            });
            let text = format!("secret of {} {offset} {}", self.sequence, self.recording(offset));
            let seq = self.first_record() + 1 + offset;
            encode(&Record { seq, t: offset, text: Some(text.into()), blob, ..Record::default() }, &mut plain);
        }
        seal(&plain, &mut sealed).unwrap();
        sealed
    }

    fn rows(&self) -> SegmentRows {
        let words: BTreeSet<&str> = self.recordings.iter().copied().filter(|name| !name.is_empty()).collect();
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let word = |name: &str| words.iter().position(|word| word == name).map(|place| u32::try_from(place).unwrap());
        let frame = |offset: u64| FrameRow {
            at: self.at() + i64::try_from(offset).unwrap(),
            seq: self.first_record() + 1 + offset,
            tape: Some(0),
            kind: 1,
            outcome: Some(if offset == 0 { 5 } else { 0 }),
            size: 10,
            recording: word(self.recording(offset)),
            ..FrameRow::default()
        };
        let frames: Vec<FrameRow> = (0..FRAMES).map(frame).collect();
        let (first_at, last_at) = (frames[0].at, frames[frames.len() - 1].at);
        let tape = TapeRow {
            id: self.tape.clone(),
            first_at,
            last_at,
            frames: FRAMES,
            calls: FRAMES,
            errors: 1,
            bytes: FRAMES * 10,
            ..TapeRow::default()
        };
        SegmentRows {
            fleet: FLEET.to_owned(),
            node: "edge-1".to_owned(),
            instance: INSTANCE.to_owned(),
            sequence: self.sequence,
            first_record: self.first_record(),
            last_record: self.sequence * RECORDS,
            stored_bytes: STORED,
            plain_bytes: 2 * STORED,
            first_at,
            last_at,
            object: segment_key(FLEET, first_at, INSTANCE, self.sequence).to_string(),
            messages: self.message.map(|message| (*blake3::hash(message).as_bytes(), 100)).into_iter().collect(),
            tapes: vec![tape],
            frames,
            words,
            ..SegmentRows::default()
        }
    }
}

impl Kept {
    async fn of(subject: Subject) -> Self {
        let (index, place) = (index::open(&subject.url).await.unwrap(), TempDir::new().unwrap());
        let blobs = Blobs::open(place.path().to_str().unwrap()).unwrap();
        Self { subject, index, blobs, place, clock: Arc::new(AtomicI64::new(THEN)) }
    }

    /// Configures recordings: their names, and what is said of their retention.
    async fn configure(&self, recordings: &[(&str, &str)]) {
        let mut text =
            "upstreams: [{ name: u, http: { endpoints: [{ url: 'http://127.0.0.1:3001/mcp' }] } }]\nroutes:\n"
                .to_owned();
        for (name, _) in recordings {
            text += &format!(
                "- {{ name: {name}, match: {{ path: /{name} }}, targets: [{{ upstream: u }}], recording: {name} }}\n"
            );
        }
        text += "recordings:\n";
        for (name, retention) in recordings {
            text += &format!("- {{ name: {name}, retention: {{ {retention} }} }}\n");
        }
        let source = shadowcat_config::parse_fleet(&[("test.yaml".to_owned(), text)]).unwrap();
        self.commit_version(source.config().encode_to_vec()).await;
    }

    async fn commit_version(&self, content: Vec<u8>) {
        let content = Bytes::from(content);
        let version = NewVersion { digest: digest(&content), content, ..version_in(FLEET, "") };
        self.subject.store.commit(version, alice()).await.unwrap();
    }

    async fn store(&self, segment: &Segment) {
        if let Some(message) = segment.message {
            let packed = zstd::encode_all(message, 1).unwrap();
            self.blobs.put(&message_key(FLEET, &blake3::hash(message)), packed.into()).await.unwrap();
        }
        let rows = segment.rows();
        self.blobs.put(&Path::from(rows.object.as_str()), segment.sealed().into()).await.unwrap();
        self.index.commit(&[rows]).await.unwrap();
    }

    fn retention(&self) -> Retention {
        let (clock, store) = (Arc::clone(&self.clock), Arc::clone(&self.subject.store));
        let clock = Arc::new(move || clock.load(Ordering::Relaxed));
        Retention::new(self.blobs.clone(), Arc::clone(&self.index), store, clock)
    }

    /// A pass when it is so many hours later than everything began.
    async fn pass_at(&self, hours: i64) {
        self.clock.store(THEN + hours * HOUR, Ordering::Relaxed);
        assert_eq!(self.retention().pass().await.unwrap(), Passed::Here);
    }

    async fn found(&self) -> Vec<FoundFrame> {
        let all = Filter { fleet: FLEET.to_owned(), ..Filter::default() };
        self.index.search(&all, What::Frames, None, 10_000).await.unwrap()
    }

    /// Which segments frames are found of, and how many of each.
    async fn by_segment(&self) -> Vec<(u64, usize)> {
        let mut counted = BTreeMap::new();
        for frame in self.found().await {
            *counted.entry((frame.seq - 1) / RECORDS + 1).or_insert(0) += 1;
        }
        counted.into_iter().collect()
    }

    fn objects(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut directories = vec![self.place.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                } else {
                    let path = entry.path().strip_prefix(self.place.path()).unwrap().to_owned();
                    // What a put that was ended has left beside the objects has a number behind its name.
                    found.extend(path.to_str().filter(|path| path.ends_with(".zst")).map(str::to_owned));
                }
            }
        }
        found
    }

    /// The lines of a segment's object, by the places of their records.
    async fn lines(&self, segment: i64) -> BTreeSet<u64> {
        let kept = self.index.segments(&[segment]).await.unwrap();
        let sealed = self.blobs.get(&Path::from(kept[0].object.as_str())).await.unwrap();
        let plain = unseal(&sealed, 1 << 20).unwrap().plain;
        let records = Scan::new(&plain).map(|found| match found.unwrap() {
            Found::Record(line) => line.record.seq,
            damage => panic!("{damage:?}"),
        });
        records.collect()
    }

    /// Every frame that is found can be read.
    async fn assert_readable(&self) {
        for frame in self.found().await {
            assert!(self.lines(frame.segment).await.contains(&frame.seq), "{frame:?}");
        }
    }

    /// How many objects of segments there are, and how many of messages.
    fn counted(&self) -> (usize, usize) {
        let objects = self.objects();
        let segments = objects.iter().filter(|object| object.starts_with("segments")).count();
        (segments, objects.len() - segments)
    }
}

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
    let id = SegmentId::new(INSTANCE, 9).unwrap();
    let hash = *blake3::hash(MESSAGE).as_bytes();
    kept.pass_at(42).await;
    assert_eq!((kept.counted(), kept.index.totals(FLEET).await.unwrap().messages), ((0, 0), 0));
    assert_eq!(kept.index.known(FLEET, "edge-1", &id, &[hash]).await.unwrap(), Known::Missing(vec![hash]));
    // One that is listed as discarded, and not yet gone, is not asked for.
    kept.index.discard(message_key(FLEET, &blake3::hash(MESSAGE)).as_ref(), THEN).await.unwrap();
    assert!(kept.index.known(FLEET, "edge-1", &id, &[hash]).await.is_err());
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
        let id = SegmentId::new(INSTANCE, sequence).unwrap();
        assert_eq!(kept.index.known(FLEET, "edge-1", &id, &[]).await.unwrap(), known, "{sequence}");
    }
    // It came all the same, on a stream that had asked before.
    kept.store(&Segment::new(2, &["short"])).await;
    assert_eq!((kept.by_segment().await, kept.counted().0), (vec![(3, 8), (8, 8)], 3));
    kept.pass_at(10).await;
    assert_eq!(kept.counted().0, 2);
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
    // Objects have the time of this machine.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    let hours = (i64::try_from(now).unwrap() - THEN) / HOUR;
    let sweep_at = async |hours: i64| {
        kept.clock.store(THEN + hours * HOUR, Ordering::Relaxed);
        assert_eq!(kept.retention().sweep().await.unwrap(), Passed::Here);
    };
    sweep_at(hours).await;
    kept.pass_at(hours + 3).await;
    assert_eq!(kept.counted(), (4, 2), "they may be on their way");
    sweep_at(hours + 26).await;
    assert_eq!(kept.index.discarded(i64::MAX, 10).await.unwrap().len(), 3);
    // A node comes back at once, another asks first, and one is late.
    kept.index.commit(&[SegmentRows { messages: vec![], ..segment(2).rows() }]).await.unwrap();
    kept.index.take_back(&object(3), THEN + (hours + 26) * HOUR).await.unwrap();
    assert!(kept.index.take_back(&object(4), THEN + (hours + 27) * HOUR).await.is_err());
    kept.pass_at(hours + 28).await;
    assert_eq!(kept.counted(), (3, 1));
    assert!(kept.index.take_back(&object(4), THEN).await.is_ok());
    kept.assert_readable().await;
}

pub(crate) async fn a_fleet_whose_configuration_cannot_be_read_loses_nothing(subject: Subject) {
    let kept = Kept::of(subject).await;
    kept.store(&Segment::new(1, &[""])).await;
    kept.commit_version(b"no configuration".to_vec()).await;
    kept.clock.store(THEN + 1_000 * HOUR, Ordering::Relaxed);
    let told = kept.retention().pass().await.unwrap_err().to_string();
    assert!(told.starts_with("nothing of fleet default is forgotten until"), "{told}");
    assert_eq!(kept.by_segment().await, [(1, 8)]);
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
