//! The recorder as the gateway holds it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::Counter;
use shadowcat_tape::redact::RedactionKey;

use super::call::{CallContext, Item};
use super::children::Room;
use super::live::{Followed, Live};
use super::queue::{BYTES_MAX, Queue};
use super::sink::TapeSink;
use super::thread::{self, Orders};
use crate::observe::Registry;

/// What is left in the queue when the gateway stops is written within this; a disk that hangs must not keep the process.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// How often a stop looks whether the thread has ended.
const STOP_LOOK: Duration = Duration::from_millis(5);

/// Hexadecimal digits of the instance in the name of a tape that is a connection.
pub(super) const INSTANCE_CHARS: usize = 8;

/// Records what passes.
pub(crate) struct Recorder {
    queue: Arc<Queue<Item>>,
    orders: Arc<Orders>,
    followed: Arc<Followed>,
    instance: Box<str>,
    exchanges: AtomicU64,
    /// Bytes that are gathered and not handed over yet.
    held: AtomicUsize,
    dropped: Counter,
    /// What may wait of children.
    room: Arc<Room>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Starts the thread.
    pub(crate) fn start(
        sink: Box<dyn TapeSink>,
        key: RedactionKey,
        instance: &str,
        registry: &Registry,
    ) -> io::Result<Arc<Self>> {
        let (queue, orders) = (Arc::new(Queue::new()), Arc::new(Orders::new()));
        let instance: Box<str> = instance.chars().take(INSTANCE_CHARS).collect::<String>().into();
        let help = "Frames that found no room in the recorder's queue; the record says where they are missing.";
        let dropped = registry.counter("shadowcat_recorder_dropped_total", help, vec![]);
        let (followed, room) = (Arc::new(Followed::default()), Arc::new(Room::default()));
        let writing = thread::Writing {
            followed: Arc::clone(&followed),
            room: Arc::clone(&room),
            queue: Arc::clone(&queue),
            orders: Arc::clone(&orders),
            sink,
            key,
            instance: instance.clone(),
            began: Instant::now(),
            frames: registry.counter("shadowcat_recorder_frames_total", "Frames that were recorded.", vec![]),
        };
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || writing.run())?;
        let (exchanges, held) = (AtomicU64::new(1), AtomicUsize::new(0));
        let thread = Mutex::new(Some(thread));
        Ok(Arc::new(Self { queue, orders, followed, instance, exchanges, held, dropped, room, thread }))
    }

    pub(super) fn next_exchange(&self) -> u64 {
        self.exchanges.fetch_add(1, Ordering::Relaxed)
    }

    /// Hands over an item that holds so many bytes; false if there was no room, which is counted.
    pub(super) fn push(&self, item: Item, size: usize) -> bool {
        let pushed = self.queue.push(item, size);
        if !pushed {
            self.note_dropped();
        }
        pushed
    }

    /// A frame found no room.
    pub(super) fn note_dropped(&self) {
        self.dropped.increment(1);
    }

    pub(super) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Room for bytes that are handed over later; false if there is none.
    pub(super) fn hold(&self, bytes: usize) -> bool {
        let fits = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes <= BYTES_MAX;
        if !fits {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    pub(super) fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether a call that must be recorded will be.
    pub(super) fn can_promise(&self) -> bool {
        self.orders.can_promise.load(Ordering::Relaxed) && self.queue.has_room_to_spare()
    }

    /// Whether this exchange's tape is among those that are recorded: the same for all its exchanges, on every node where it is a session.
    pub(super) fn samples(&self, call: &CallContext) -> bool {
        match call.route.recording.sample_percent {
            100 => true,
            0 => false,
            percent => share(call.tape(&self.instance)) < u64::from(percent),
        }
    }

    /// Records as they are written, for one line at a time.
    pub(crate) fn follow(&self) -> Live {
        self.followed.follow()
    }

    /// Tags are made with this key from now on.
    pub(crate) fn rekey(&self, key: RedactionKey) {
        *self.orders.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        self.orders.changed.store(true, Ordering::Release);
        self.queue.wake();
    }

    /// Writes what waits and ends the thread.
    pub(crate) async fn stop(&self) {
        self.orders.stop.store(true, Ordering::Release);
        self.queue.wake();
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let ended = async {
            while !thread.is_finished() {
                // The thread may have been about to sleep.
                self.queue.wake();
                tokio::time::sleep(STOP_LOOK).await;
            }
        };
        if tokio::time::timeout(STOP_WAIT, ended).await.is_err() {
            tracing::warn!(
                "the recorder's disk did not take what was left within {STOP_WAIT:?}: the end of the record is missing"
            );
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::Release);
        self.queue.wake();
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// A number below 100 that is the same wherever the tape is seen.
pub(super) fn share(tape: &str) -> u64 {
    u64::from(crc32c::crc32c(tape.as_bytes())) % 100
}
