//! What is kept while it is forgotten: an index, objects, and a clock that the test sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use prost::Message as _;
use shadowcat_config::digest;
use shadowcat_control_plane::store::{NewVersion, StoreError};
use shadowcat_control_plane::tapes::blobs::{Blobs, SegmentName, message_key, segment_key};
use shadowcat_control_plane::tapes::index::{
    self, Filter, FoundFrame, FrameRow, Index, Known, Offered, SegmentRows, TapeRow, What,
};
use shadowcat_control_plane::tapes::retention::{Passed, Retention};
use shadowcat_tape::line::encode;
use shadowcat_tape::record::{BlobRef, Head, Kind, Record};
use shadowcat_tape::segment::{Found, Scan, SegmentId, seal, unseal};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::subject::Subject;
use crate::support::{FLEET, SOON, alice, eventually, version_in};

pub(crate) const INSTANCE: &str = "3f9a21c0000000000000000000000000";

/// A day in 2025, in microseconds since 1970.
pub(crate) const THEN: i64 = 1_763_700_000_000_000;

pub(crate) const HOUR: i64 = 60 * 60 * 1_000_000;

/// Frames of a segment, and records with its head.
pub(crate) const FRAMES: u64 = 8;
pub(crate) const RECORDS: u64 = FRAMES + 1;

/// Bytes of a segment, and of a message that is kept apart, as rows say: configurations say sizes in units of this.
pub(crate) const STORED: u64 = 1024;

/// An index, a directory of objects, and a clock that the test sets.
pub(crate) struct Kept {
    pub(crate) subject: Subject,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) blobs: Blobs,
    pub(crate) place: TempDir,
    pub(crate) clock: Arc<AtomicI64>,
}

/// A segment of an hour: each frame has a recording, a tape, and perhaps a message that is kept apart.
pub(crate) struct Segment {
    pub(crate) sequence: u64,
    pub(crate) recordings: Vec<&'static str>,
    pub(crate) tape: String,
    pub(crate) message: Option<&'static [u8]>,
}

impl Segment {
    pub(crate) fn new(sequence: u64, recordings: &[&'static str]) -> Self {
        Self { sequence, recordings: recordings.to_vec(), tape: format!("tape-{sequence}"), message: None }
    }

    pub(crate) fn first_record(&self) -> u64 {
        (self.sequence - 1) * RECORDS + 1
    }

    pub(crate) fn at(&self) -> i64 {
        THEN + i64::try_from(self.sequence).unwrap() * HOUR
    }

    pub(crate) fn recording(&self, offset: u64) -> &'static str {
        self.recordings[usize::try_from(offset).unwrap() % self.recordings.len()]
    }

    pub(crate) fn sealed(&self) -> Vec<u8> {
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

    pub(crate) fn rows(&self) -> SegmentRows {
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
        let digest = *blake3::hash(&self.sealed()).as_bytes();
        let name = SegmentName { fleet: FLEET, node: "edge-1", instance: INSTANCE, sequence: self.sequence };
        SegmentRows {
            fleet: FLEET.to_owned(),
            node: "edge-1".to_owned(),
            instance: INSTANCE.to_owned(),
            sequence: self.sequence,
            digest,
            first_record: self.first_record(),
            last_record: self.sequence * RECORDS,
            stored_bytes: STORED,
            plain_bytes: 2 * STORED,
            first_at,
            last_at,
            object: segment_key(name, first_at, &digest).to_string(),
            messages: self.message.map(|message| (*blake3::hash(message).as_bytes(), STORED)).into_iter().collect(),
            uses: self
                .message
                .map(|message| (*blake3::hash(message).as_bytes(), frames[0].recording))
                .into_iter()
                .collect(),
            tapes: vec![tape],
            frames,
            words,
            ..SegmentRows::default()
        }
    }
}

impl Kept {
    /// Of a fleet whose configuration has no recordings.
    pub(crate) async fn of(subject: Subject) -> Self {
        let kept = Self::without_configuration(subject).await;
        kept.configure(&[]).await;
        kept
    }

    pub(crate) async fn without_configuration(subject: Subject) -> Self {
        let (index, place) = (index::open(&subject.url).await.unwrap(), TempDir::new().unwrap());
        let blobs = Blobs::open(place.path().to_str().unwrap()).unwrap();
        Self { subject, index, blobs, place, clock: Arc::new(AtomicI64::new(THEN)) }
    }

    /// Configures recordings: their names, and what is said of their retention.
    pub(crate) async fn configure(&self, recordings: &[(&str, &str)]) {
        let mut text =
            "upstreams: [{ name: u, http: { endpoints: [{ url: 'http://127.0.0.1:3001/mcp' }] } }]\nroutes:\n"
                .to_owned();
        for (name, _) in recordings {
            text += &format!(
                "- {{ name: {name}, match: {{ path: /{name} }}, targets: [{{ upstream: u }}], recording: {name} }}\n"
            );
        }
        if recordings.is_empty() {
            text += "- { name: r, match: { path: /mcp }, targets: [{ upstream: u }] }\n";
        }
        text += if recordings.is_empty() { "recordings: []\n" } else { "recordings:\n" };
        for (name, retention) in recordings {
            text += &format!("- {{ name: {name}, retention: {{ {retention} }} }}\n");
        }
        let source = shadowcat_config::parse_fleet(&[("test.yaml".to_owned(), text)]).unwrap();
        self.commit_version(source.config().encode_to_vec()).await;
    }

    pub(crate) async fn commit_version(&self, content: Vec<u8>) {
        let content = Bytes::from(content);
        let version = NewVersion { digest: digest(&content), content, ..version_in(FLEET, "") };
        self.subject.store.commit(version, alice()).await.unwrap();
    }

    pub(crate) async fn store(&self, segment: &Segment) {
        if let Some(message) = segment.message {
            let packed = zstd::encode_all(message, 1).unwrap();
            self.blobs.put(&message_key(FLEET, &blake3::hash(message)), packed.into()).await.unwrap();
        }
        let rows = segment.rows();
        self.blobs.put(&Path::from(rows.object.as_str()), segment.sealed().into()).await.unwrap();
        self.index.commit(&[rows]).await.unwrap();
    }

    /// What is known of this segment, whose message it says is kept apart.
    pub(crate) async fn known(&self, segment: &Segment, messages: &[[u8; 32]]) -> Result<Known, StoreError> {
        let id = SegmentId::new(INSTANCE, segment.sequence).unwrap();
        let digest = segment.rows().digest;
        self.index.known(Offered { fleet: FLEET, node: "edge-1", id: &id, digest: &digest, messages }).await
    }

    pub(crate) fn retention(&self) -> Retention {
        let (clock, store) = (Arc::clone(&self.clock), Arc::clone(&self.subject.store));
        let clock = Arc::new(move || clock.load(Ordering::Relaxed));
        Retention::new(self.blobs.clone(), Arc::clone(&self.index), store, clock)
    }

    /// A pass when it is so many hours later than everything began.
    pub(crate) async fn pass_at(&self, hours: i64) {
        self.clock.store(THEN + hours * HOUR, Ordering::Relaxed);
        // The turn before ends when Postgres has seen its connection go.
        eventually("it is this one's turn", SOON, || async { self.retention().pass().await.unwrap() == Passed::Here })
            .await;
    }

    /// The same, of a pass in which something cannot be done: what it tells.
    pub(crate) async fn failed_pass_at(&self, hours: i64) -> String {
        self.clock.store(THEN + hours * HOUR, Ordering::Relaxed);
        loop {
            match self.retention().pass().await {
                Ok(Passed::Elsewhere) => tokio::time::sleep(Duration::from_millis(5)).await,
                Ok(Passed::Here) => panic!("everything was done"),
                Err(unfinished) => return unfinished.to_string(),
            }
        }
    }

    /// Lets no share of these segments be deleted, by their numbers in the index.
    pub(crate) async fn stuck(&self, first: i64, last: i64) {
        if let Some(path) = self.subject.url.strip_prefix("sqlite:") {
            let file = std::path::Path::new(path).with_file_name("tapes.db");
            let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
            let trigger = format!(
                "CREATE TRIGGER stuck BEFORE DELETE ON shares WHEN OLD.segment BETWEEN {first} AND {last}
                 BEGIN SELECT RAISE(ABORT, 'it is stuck'); END"
            );
            sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&mut connection).await.unwrap();
        } else {
            let trigger = format!(
                "CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'it is stuck'; END $$;
                 CREATE TRIGGER stuck BEFORE DELETE ON shadowcat_tapes.shares FOR EACH ROW
                     WHEN (OLD.segment BETWEEN {first} AND {last}) EXECUTE FUNCTION stuck()"
            );
            self.subject.sql(&trigger).await.unwrap();
        }
    }

    pub(crate) async fn found(&self) -> Vec<FoundFrame> {
        let all = Filter { fleet: FLEET.to_owned(), ..Filter::default() };
        self.index.search(&all, What::Frames, None, 10_000).await.unwrap()
    }

    /// Which segments frames are found of, and how many of each.
    pub(crate) async fn by_segment(&self) -> Vec<(u64, usize)> {
        let mut counted = BTreeMap::new();
        for frame in self.found().await {
            *counted.entry((frame.seq - 1) / RECORDS + 1).or_insert(0) += 1;
        }
        counted.into_iter().collect()
    }

    pub(crate) fn objects(&self) -> BTreeSet<String> {
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
    pub(crate) async fn lines(&self, segment: i64) -> BTreeSet<u64> {
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
    pub(crate) async fn assert_readable(&self) {
        for frame in self.found().await {
            assert!(self.lines(frame.segment).await.contains(&frame.seq), "{frame:?}");
        }
    }

    /// How many objects of segments there are, and how many of messages.
    pub(crate) fn counted(&self) -> (usize, usize) {
        let objects = self.objects();
        let segments = objects.iter().filter(|object| object.starts_with("segments")).count();
        (segments, objects.len() - segments)
    }
}
