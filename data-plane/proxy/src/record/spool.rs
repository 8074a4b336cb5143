//! A sink that is the machine's disk, and what of it the gateway and its shipping hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use metrics::{Counter, Gauge};
use shadowcat_tape::line::Message;
use shadowcat_tape::record::Record;
use shadowcat_tape::redact::RedactionKey;
use shadowcat_tape::spool::{self, Now, Shelf, Spool, Writer};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::Recorder;
use super::key::{KeyFile, id_of};
use super::sink::TapeSink;
use super::start::RecordError;
use crate::observe::Registry;

/// An open segment is looked at this often: it is sealed within so much of its time, and what was recorded before is in its file.
const LOOK_OPEN: Duration = Duration::from_millis(100);

/// A spool without an open segment is looked at this often: it is how old at most the word is that the disk has room, by which a
/// route that must not lose a record takes a call.
const LOOK_IDLE: Duration = Duration::from_secs(1);

/// When a gateway stops, a control plane that is there gets this long to take what was recorded last.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Where recorded traffic is kept on this machine, and how much of it.
#[derive(Debug, Clone)]
pub struct SpoolSettings {
    /// A directory of the gateway's own; made if it is not there.
    pub dir: PathBuf,
    /// The node's name; empty for one that is no member of a fleet.
    pub node: String,
    /// Beyond these bounds the oldest goes.
    pub bounds: shadowcat_config::Spool,
}

/// What is recorded, as those who ship it see it.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) shelf: Arc<Shelf>,
    /// Changes when a segment is sealed.
    pub(crate) sealed: watch::Receiver<u64>,
    key: Arc<KeyFile>,
    /// Changes when a segment has left, or the line to whoever takes them has.
    left: Arc<watch::Sender<u64>>,
    connected: Arc<AtomicBool>,
}

impl Records {
    pub(super) fn new(recorder: Arc<Recorder>, shelf: Arc<Shelf>, sealed: watch::Receiver<u64>, key: KeyFile) -> Self {
        let (left, _) = watch::channel(0);
        Self { recorder, shelf, sealed, key: Arc::new(key), left: Arc::new(left), connected: Arc::default() }
    }

    /// Tags are made with the fleet's key from now on, and after the next start.
    pub(crate) fn rekey(&self, key: [u8; 32]) {
        let file = Arc::clone(&self.key);
        spawn_blocking(move || file.keep(&key));
        self.recorder.rekey(key.into());
    }

    /// Somebody takes what is recorded.
    pub(crate) fn connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
        self.settled();
    }

    /// Nobody does any more.
    pub(crate) fn disconnected(&self) {
        self.connected.store(false, Ordering::Relaxed);
        self.settled();
    }

    /// A segment has left, or is passed over for now.
    pub(crate) fn settled(&self) {
        self.left.send_modify(|count| *count += 1);
    }

    /// Waits until everything that was recorded and can be read has left, as long as somebody takes it, and not for long.
    pub(crate) async fn last_words(&self) {
        let mut left = self.left.subscribe();
        let gone = left.wait_for(|_| self.shelf.is_empty() || !self.connected.load(Ordering::Relaxed));
        let _ = tokio::time::timeout(LAST_WORDS, gone).await;
    }
}

/// A spool that is open.
pub(super) struct Opened {
    pub(super) sink: Box<dyn TapeSink>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) sealed: watch::Receiver<u64>,
    pub(super) key: RedactionKey,
    pub(super) key_file: KeyFile,
}

/// Opens the spool and recovers what earlier boots left in it. Blocks on the disk.
pub(super) fn open(settings: &SpoolSettings, instance: &str, metrics: SpoolMetrics) -> Result<Opened, RecordError> {
    let (changed, sealed) = watch::channel(0);
    let key_file = KeyFile::in_dir(&settings.dir);
    let key = key_file.load_or_make(&settings.dir).map_err(RecordError::Random)?;
    let mut opening = spool::SpoolSettings::new(settings.dir.clone(), instance.to_owned());
    opening.node.clone_from(&settings.node);
    opening.redaction_key = id_of(&key);
    (opening.max_bytes, opening.max_age) = (settings.bounds.max_size, settings.bounds.max_age);
    opening.on_sealed = Some(Arc::new(move || changed.send_modify(|count| *count += 1)));
    let (writer, shelf, recovery) = Spool::open(opening, now(Duration::ZERO))?;
    tell(&recovery, &settings.dir);
    let sink = Box::new(SpoolSink { writer: Some(writer), shelf: Arc::clone(&shelf), metrics });
    Ok(Opened { sink, shelf, sealed, key, key_file })
}

fn tell(recovery: &spool::Recovery, dir: &Path) {
    let spool::Recovery { found, mended, missing, corrupt_bytes, torn_bytes, unread, aside, .. } = *recovery;
    if unread + aside > 0 {
        tracing::warn!(
            spool = %dir.display(), found, unread, aside,
            "recorded traffic of an earlier start cannot be read: it stays within the bounds of the spool; what was not set aside is tried again"
        );
    }
    if missing + corrupt_bytes + torn_bytes > 0 {
        tracing::warn!(
            spool = %dir.display(), found, mended, missing, corrupt_bytes, torn_bytes,
            "recorded traffic of an earlier start is damaged; what is intact is kept, and the record says what is missing"
        );
    } else if mended > 0 {
        tracing::info!(spool = %dir.display(), found, mended, "an earlier start ended suddenly; its recorded traffic is kept");
    }
}

fn now(at: Duration) -> Now {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Now { at, wall: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX) }
}

/// What the spool is seen by.
#[derive(Debug)]
pub(super) struct SpoolMetrics {
    bytes: Gauge,
    sealed: Counter,
    dropped: Counter,
    set_aside: Counter,
    lost: Counter,
}

impl SpoolMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help, vec![]);
        Self {
            bytes: registry.gauge(
                "shadowcat_spool_bytes",
                "Recorded traffic on disk that nobody has taken yet.",
                vec![],
            ),
            sealed: counter("shadowcat_spool_segments_sealed_total", "Segments of recorded traffic that were sealed."),
            dropped: counter(
                "shadowcat_spool_segments_dropped_total",
                "Segments dropped for want of room, for their age, or because the control plane refused them again and again; the record says which.",
            ),
            set_aside: counter(
                "shadowcat_spool_segments_set_aside_total",
                "Segments that cannot be read: they stay on disk under another name for as long as there is room, and the record says that they are missing.",
            ),
            lost: counter(
                "shadowcat_spool_frames_lost_total",
                "Frames that could not be written, or were dropped or set aside; the record says where they are missing.",
            ),
        }
    }

    fn tell(&self, counts: spool::Counts, bytes: u64) {
        self.bytes.set(bytes as f64);
        self.sealed.absolute(counts.segments_sealed);
        self.dropped.absolute(counts.segments_dropped);
        self.set_aside.absolute(counts.segments_set_aside);
        self.lost.absolute(counts.frames_lost + counts.frames_dropped);
    }
}

/// Writes to the spool.
struct SpoolSink {
    /// Absent once it has ended.
    writer: Option<Writer>,
    shelf: Arc<Shelf>,
    metrics: SpoolMetrics,
}

impl TapeSink for SpoolSink {
    fn append(&mut self, record: Record<'_>, message: Option<Message<'_>>) -> u64 {
        self.writer.as_mut().map_or(0, |writer| writer.append(record, message))
    }

    fn lost(&mut self, frames: u64, why: &str) {
        if let Some(writer) = &mut self.writer {
            writer.lost(frames, why);
        }
    }

    fn rekeyed(&mut self, key_id: &str) {
        if let Some(writer) = &mut self.writer {
            writer.rekey(key_id.to_owned());
        }
    }

    fn settle(&mut self, at: Duration) -> Duration {
        let Some(writer) = &mut self.writer else { return LOOK_IDLE };
        writer.flush();
        writer.tick(now(at));
        self.metrics.tell(writer.counts(), self.shelf.bytes());
        if writer.is_open() || !writer.is_keeping() { LOOK_OPEN } else { LOOK_IDLE }
    }

    fn can_promise(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::can_promise)
    }

    fn end(&mut self, at: Duration) {
        if let Some(mut writer) = self.writer.take() {
            writer.flush();
            writer.tick(now(at));
            writer.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use shadowcat_tape::record::Kind;
    use tempfile::TempDir;
    use tokio::time::Instant;

    use super::super::start::{To, start};
    use super::*;

    /// A spool with one segment, which cannot be read.
    fn spool_of_one(dir: &Path) {
        let settings = spool::SpoolSettings::new(dir.to_owned(), "0".repeat(32));
        let (mut writer, shelf, _) = Spool::open(settings, now(Duration::ZERO)).unwrap();
        writer.append(Record { k: Kind::Mark, text: Some("remark".into()), ..Record::default() }, None);
        writer.end();
        let file = dir.join(shelf.oldest(1).remove(0).id.sealed_name());
        std::fs::remove_file(&file).unwrap();
        // It leads to itself.
        symlink(&file, &file).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_does_not_wait_for_what_cannot_be_read() {
        let dir = TempDir::new().unwrap();
        spool_of_one(dir.path());
        let bounds = shadowcat_config::Spool::default();
        let settings = SpoolSettings { dir: dir.path().to_owned(), node: String::new(), bounds };
        let started = start(To::Spool(settings), &"1".repeat(32), &Registry::new()).await.unwrap();
        let (Some(recorder), Some(records)) = started else { panic!("a spool was asked for") };
        records.connected();
        let since = Instant::now();
        records.last_words().await;
        assert_eq!(since.elapsed(), Duration::ZERO);
        assert!(records.shelf.bytes() > 0, "it is still there");
        recorder.stop().await;
    }
}
