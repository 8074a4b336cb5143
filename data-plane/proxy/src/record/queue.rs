//! The way from the calls to the recorder's thread.
//!
//! A push takes no lock, and wakes the thread only if it sleeps: it then sleeps again for [`GATHER`] before it looks, so that a busy
//! gateway wakes it a few hundred times a second and not at each call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

/// Frames that wait. At the bound a frame is dropped, the record says how many are missing, and
/// `shadowcat_recorder_dropped_total` counts them. At 80 000 frames a second the thread may be away for a fifth of a second.
const FRAMES_MAX: usize = 16 * 1024;

/// Bytes of messages that wait; at the bound as above. Sixteen of the longest messages.
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;

/// A route that must not lose a record takes no new call while the queue is this full: what is left is for the answers of calls that
/// run.
const REQUIRED_FRAMES_MAX: usize = FRAMES_MAX / 2;

/// Up to here the reader may take its time: a quarter of what a route that must not lose a record allows.
const SHORT_FRAMES_MAX: usize = REQUIRED_FRAMES_MAX / 4;
const SHORT_BYTES_MAX: usize = BYTES_MAX / 8;

/// How long the thread lets frames gather: long enough that to wake it costs little, and so short that the memory of what waits is used
/// again before it has left the caches of the calls.
pub(super) const GATHER: Duration = Duration::from_millis(2);

/// What waits for the recorder's thread.
pub(super) struct Queue<T> {
    items: ArrayQueue<(T, usize)>,
    bytes: AtomicUsize,
    dropped: AtomicU64,
    asleep: AtomicBool,
    reader: OnceLock<Thread>,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            items: ArrayQueue::new(FRAMES_MAX),
            bytes: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            reader: OnceLock::new(),
        }
    }

    /// Hands over `item`, which holds `size` bytes; false if there was no room, which is counted.
    pub(super) fn push(&self, item: T, size: usize) -> bool {
        let held = self.bytes.fetch_add(size, Ordering::Relaxed);
        if held > BYTES_MAX || self.items.push((item, size)).is_err() {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // Either the thread sees the item before it sleeps, or this sees that it sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
        true
    }

    /// Whether a route that must not lose a record may take a call.
    pub(super) fn has_room_to_spare(&self) -> bool {
        self.items.len() < REQUIRED_FRAMES_MAX && self.bytes.load(Ordering::Relaxed) < BYTES_MAX / 2
    }

    /// Whether so little waits that the reader may take its time.
    pub(super) fn is_short(&self) -> bool {
        self.items.len() < SHORT_FRAMES_MAX && self.bytes.load(Ordering::Relaxed) < SHORT_BYTES_MAX
    }

    /// Wakes the reader.
    pub(super) fn wake(&self) {
        if self.asleep.swap(false, Ordering::AcqRel)
            && let Some(reader) = self.reader.get()
        {
            reader.unpark();
        }
    }

    /// The thread that calls this is the one reader.
    pub(super) fn read_here(&self) {
        let _ = self.reader.set(thread::current());
    }

    /// The next item, if there is one.
    pub(super) fn pop(&self) -> Option<T> {
        let (item, size) = self.items.pop()?;
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        Some(item)
    }

    /// How many items found no room since this was asked last.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Sleeps until an item comes, at most `limit`.
    pub(super) fn sleep(&self, limit: Duration) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.items.is_empty() {
            thread::park_timeout(limit);
        }
        self.asleep.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    #[test]
    fn every_queue_is_bounded_and_what_finds_no_room_is_counted() {
        let queue = Queue::new();
        let taken = (0..FRAMES_MAX + 5).filter(|number| queue.push(*number, 1)).count();
        assert_eq!((taken, queue.take_dropped(), queue.take_dropped()), (FRAMES_MAX, 5, 0));
        assert!(!queue.has_room_to_spare());
        while queue.pop().is_some() {}
        assert!(queue.has_room_to_spare() && queue.push(0, BYTES_MAX + 1));
        assert!(!queue.push(1, 1), "the bytes are bounded too");
        assert_eq!((queue.pop(), queue.pop()), (Some(0), None));
        assert!(queue.push(2, 1));
    }

    #[test]
    fn a_reader_that_sleeps_is_woken_by_whoever_comes_first() {
        let queue = Arc::new(Queue::new());
        let reader = Arc::clone(&queue);
        let reading = thread::spawn(move || {
            reader.read_here();
            let began = Instant::now();
            let mut seen = 0;
            while seen < 1_000 {
                match reader.pop() {
                    Some(_) => seen += 1,
                    None => reader.sleep(Duration::from_secs(10)),
                }
            }
            began.elapsed()
        });
        for number in 0..1_000 {
            assert!(queue.push(number, 8));
            if number % 100 == 0 {
                thread::yield_now();
            }
        }
        assert!(reading.join().unwrap() < Duration::from_secs(10), "no wake-up was lost");
    }
}
