//! The recorder's thread.
//!
//! It sleeps until a frame comes, lets frames gather, writes them all, and lets the sink do what is due. A panic while a frame is
//! written costs this frame: it is counted as lost, and the thread goes on.
//!
//! Calls come first: as long as few frames wait, it works for a moment at a time and leaves its core in between. When many wait it
//! works like anybody else. It has no lower priority than calls: where all cores are busy a niceness of 10 leaves a tenth of one, and
//! to record a call takes up to half of what the call itself does (a target of `compare` in `benches/`), so that most records would be
//! lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use metrics::Counter;
use shadowcat_session::limits::ENDED_STREAM_KEPT;
use shadowcat_tape::redact::RedactionKey;

use super::call::{CallContext, Item};
use super::child_tapes::Children;
use super::children::Room;
use super::frame::Framer;
use super::links::Links;
use super::live::Followed;
use super::paused::Paused;
use super::queue::{GATHER, Queue};
use super::secrets::Secrets;
use super::sink::TapeSink;

/// About how long the thread works at a time while few frames wait, a frame and what it fills aside: so long waits a call that comes
/// upon it.
const WORKS: Duration = Duration::from_micros(500);
/// How long it then leaves its core, at least.
const GIVES_WAY: Duration = Duration::from_micros(100);

/// While frames come, the sink gets to do what is due this often, whatever waits.
const SETTLE_EVERY: Duration = Duration::from_millis(10);

/// What the thread is told from outside.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) stop: AtomicBool,
    /// There is a new key.
    pub(super) changed: AtomicBool,
    pub(super) key: Mutex<Option<RedactionKey>>,
    /// What the thread tells: whether what it takes is kept.
    pub(super) can_promise: AtomicBool,
}

impl Orders {
    pub(super) fn new() -> Self {
        Self {
            stop: AtomicBool::new(false),
            changed: AtomicBool::new(false),
            key: Mutex::new(None),
            can_promise: AtomicBool::new(true),
        }
    }
}

/// What the thread works with.
pub(super) struct Writing {
    pub(super) queue: Arc<Queue<Item>>,
    pub(super) orders: Arc<Orders>,
    pub(super) sink: Box<dyn TapeSink>,
    pub(super) key: RedactionKey,
    pub(super) instance: Box<str>,
    pub(super) began: Instant,
    pub(super) frames: Counter,
    pub(super) followed: Arc<Followed>,
    pub(super) room: Arc<Room>,
}

impl Writing {
    /// Until it is told to stop.
    pub(super) fn run(self) {
        let Self { queue, orders, sink, key, instance, began, frames, followed, room } = self;
        queue.read_here();
        let (secrets, links, children) = (Secrets::new(key), Links::new(), Children::new());
        let paused = Paused::default();
        let mut framer = Framer { sink, secrets, began, instance, links, paused, children, followed };
        let (mut settled, mut again, mut unsettled) = (None::<Instant>, Duration::ZERO, false);
        loop {
            let stopping = orders.stop.load(Ordering::Acquire);
            if orders.changed.swap(false, Ordering::AcqRel)
                && let Some(key) = orders.key.lock().unwrap_or_else(PoisonError::into_inner).take()
            {
                framer.secrets.rekey(key);
                framer.sink.rekeyed(&framer.secrets.key_id());
            }
            // After a long sleep the sink hears the time before it gets what came since.
            if settled.is_none_or(|at| at.elapsed() >= SETTLE_EVERY) {
                again = framer.sink.settle(began.elapsed());
                orders.can_promise.store(framer.sink.can_promise(), Ordering::Relaxed);
                (settled, unsettled) = (Some(Instant::now()), false);
            }
            let (written, is_empty) = drain(&queue, &mut framer);
            let now = Instant::now();
            let abandoned = abandon(&mut framer, now, |paused| paused.expired(now, ENDED_STREAM_KEPT));
            frames.increment(written as u64);
            unsettled |= written + abandoned > 0;
            for (dropped, why) in [(queue.take_dropped(), "queue_full"), (room.take_dropped(), "children_full")] {
                if dropped > 0 {
                    framer.sink.lost(dropped, why);
                    unsettled = true;
                }
            }
            if !is_empty {
                continue;
            }
            if stopping {
                // Nobody comes back to this instance.
                abandon(&mut framer, Instant::now(), Paused::eldest);
                return framer.sink.end(began.elapsed());
            }
            if written > 0 {
                // Where something came more will, and need not wake anybody.
                park_timeout(GATHER);
            } else {
                wait(&queue, &orders, if unsettled { SETTLE_EVERY } else { again.max(SETTLE_EVERY) });
            }
        }
    }
}

/// Writes what waits, until the sink is due; how much it was, and whether that was all.
fn drain(queue: &Queue<Item>, framer: &mut Framer) -> (usize, bool) {
    let mut written = 0;
    let began = Instant::now();
    let mut since = began;
    while let Some(item) = queue.pop() {
        written += 1;
        guarded(framer, |framer| match &item {
            Item::Opened(call) => framer.opened(call),
            Item::Said(saying) => framer.said(saying),
            Item::Child(doing) => framer.did(doing),
        });
        drop(item);
        let now = Instant::now();
        if now - began >= SETTLE_EVERY {
            return (written, false);
        }
        if now - since >= WORKS && queue.is_short() {
            park_timeout(GIVES_WAY);
            since = Instant::now();
        }
    }
    (written, true)
}

/// Ends calls that wait for their clients, one by one, as long as `next` has any; how many there were.
fn abandon(framer: &mut Framer, now: Instant, next: impl Fn(&mut Paused) -> Option<Arc<CallContext>>) -> usize {
    let mut abandoned = 0;
    while let Some(call) = next(&mut framer.paused) {
        abandoned += 1;
        guarded(framer, |framer| framer.abandon(&call, now));
    }
    abandoned
}

/// Writes a frame; what panics is lost, and counted.
fn guarded(framer: &mut Framer, write: impl FnOnce(&mut Framer)) {
    if catch_unwind(AssertUnwindSafe(|| write(framer))).is_err() {
        tracing::error!("a frame could not be recorded: this is a bug of the recorder");
        framer.sink.lost(1, "recorder_failed");
    }
}

/// Until something comes, and a little longer, so that more can.
fn wait(queue: &Queue<Item>, orders: &Orders, limit: Duration) {
    let since = Instant::now();
    queue.sleep(limit);
    if since.elapsed() < limit && !orders.stop.load(Ordering::Acquire) {
        park_timeout(GATHER);
    }
}

#[cfg(test)]
mod tests;
