//! What children of recorded upstreams hand over: the observer that their upstreams tell, and how much of it may wait.
//!
//! A child can write faster than anything reads. What it says waits in the recorder's queue beside calls, but in a [`Room`] of its own:
//! beyond it a child's words are dropped and counted, and no call's frame is.

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use shadowcat_config::{Capture, Recording, Route};
use shadowcat_upstream::{ChildEvent, ChildObserver, ExitReason, Passed};

use super::Recorder;
use super::call::Item;

/// Frames of all children that wait: an eighth of the queue's. At the bound a frame is dropped, the record says how many are missing,
/// and `shadowcat_recorder_dropped_total` counts them.
const FRAMES_MAX: usize = 2 * 1024;

/// Bytes of all children that wait: an eighth of the queue's; at the bound as above.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// What may wait of all children together.
#[derive(Debug, Default)]
pub(super) struct Room {
    frames: AtomicUsize,
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Room {
    /// A place for so many bytes; `None` if there is none, which is counted.
    fn take(self: &Arc<Self>, bytes: usize) -> Option<Place> {
        let (waiting, held) =
            (self.frames.fetch_add(1, Ordering::Relaxed), self.bytes.fetch_add(bytes, Ordering::Relaxed));
        let place = Place { room: Arc::clone(self), bytes };
        if waiting < FRAMES_MAX && held < BYTES_MAX {
            return Some(place);
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// How many frames found no place since this was asked last.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

/// A place in the room, free again when dropped.
#[derive(Debug)]
struct Place {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.frames.fetch_sub(1, Ordering::Relaxed);
        self.room.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What the recordings of an upstream's routes say together of its children.
#[derive(Debug)]
pub(crate) struct Terms {
    /// At least one, none twice. What is kept is in the first one's name, and without what any of them blots out.
    pub(super) recordings: Vec<Arc<Recording>>,
    pub(super) capture: Capture,
    pub(super) sample_percent: u8,
    pub(super) max_message: u64,
    /// Of the configuration; 0 for none.
    pub(super) version: u64,
}

impl Terms {
    /// Of the routes to one upstream; `None` if none of them is recorded. A child does not say which route its words are about: where
    /// one is not recorded, it is told that the child spoke, and not what.
    pub(crate) fn of(routes: &[&Route], version: u64) -> Option<Self> {
        let asked = || routes.iter().filter_map(|route| route.recording.as_ref());
        let mut recordings: Vec<Arc<Recording>> = Vec::new();
        for recording in asked() {
            if !recordings.iter().any(|known| known.name == recording.name) {
                recordings.push(Arc::clone(recording));
            }
        }
        let all = asked().count() == routes.len();
        Some(Self {
            capture: if all { asked().map(|it| it.capture).min()? } else { Capture::Metadata },
            sample_percent: asked().map(|it| it.sample_percent).min()?,
            max_message: asked().map(|it| it.max_message).min()?,
            recordings,
            version,
        })
    }
}

/// Which upstream's children.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) upstream: Arc<str>,
    pub(super) endpoint: Arc<str>,
}

/// Hands over what the children of one upstream do, while a route to it is recorded.
pub(crate) struct ChildWatch {
    recorder: Arc<Recorder>,
    source: Arc<Source>,
    terms: ArcSwapOption<Terms>,
    /// Lines that were not handed over.
    holes: AtomicU64,
}

impl ChildWatch {
    /// Of the upstream of this name. Nothing is handed over before the first terms.
    pub(crate) fn new(recorder: &Arc<Recorder>, upstream: Arc<str>, endpoint: Arc<str>) -> Arc<Self> {
        let source = Arc::new(Source { upstream, endpoint });
        Arc::new(Self {
            recorder: Arc::clone(recorder),
            source,
            terms: ArcSwapOption::empty(),
            holes: AtomicU64::new(0),
        })
    }

    /// Notes that words are missing in what is handed over next.
    fn pass_over(&self, said: Option<usize>) {
        if said.is_some() {
            self.holes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// From now on children are recorded on these terms.
    pub(crate) fn agree(&self, terms: Option<Terms>) {
        self.terms.store(terms.map(Arc::new));
    }
}

impl ChildObserver for ChildWatch {
    fn saw(&self, child: u64, event: ChildEvent<'_>) {
        let said = said(&event);
        let Some(terms) = self.terms.load_full() else { return self.pass_over(said) };
        let place = match said {
            None => None,
            Some(bytes) => match self.recorder.room().take(bytes) {
                Some(place) => Some(place),
                None => {
                    self.recorder.note_dropped();
                    return self.pass_over(said);
                }
            },
        };
        let (source, did, at) = (Arc::clone(&self.source), Did::of(event), Instant::now());
        let holes = self.holes.load(Ordering::Relaxed);
        let doing = Doing { source, terms, child, at, did, holes, _place: place };
        if !self.recorder.push(Item::Child(Box::new(doing)), said.unwrap_or_default()) {
            self.pass_over(said);
        }
    }
}

/// Something that a child did, on its way to the thread.
#[derive(Debug)]
pub(super) struct Doing {
    pub(super) source: Arc<Source>,
    pub(super) terms: Arc<Terms>,
    pub(super) child: u64,
    pub(super) at: Instant,
    pub(super) did: Did,
    /// How many lines of the upstream's children were not handed over before this.
    pub(super) holes: u64,
    /// Absent for its beginning and its end, which are as many as there are children.
    _place: Option<Place>,
}

#[derive(Debug)]
pub(super) enum Did {
    Spawned { pid: i32, command: Box<str> },
    Session { exchange: u64 },
    Stderr(Bytes),
    Stray(Bytes),
    Sent { exchange: Option<u64>, message: Bytes },
    Received { exchange: Option<u64>, message: Bytes },
    Signalled(&'static str),
    Exited { status: Option<ExitStatus>, why: ExitReason },
}

impl Did {
    fn of(event: ChildEvent<'_>) -> Self {
        match event {
            // Joined, because what follows `--token` is a secret for what it follows.
            ChildEvent::Spawned { pid, command } => Self::Spawned { pid, command: command.join(" ").into() },
            ChildEvent::Session { exchange } => Self::Session { exchange },
            // Copied: a line would keep the whole buffer alive that it was read into.
            ChildEvent::Stderr(line) => Self::Stderr(Bytes::copy_from_slice(line)),
            ChildEvent::Stray(line) => Self::Stray(Bytes::copy_from_slice(line)),
            ChildEvent::Sent(Passed { exchange, message }) => Self::Sent { exchange, message: message.clone() },
            ChildEvent::Received(Passed { exchange, message }) => Self::Received { exchange, message: message.clone() },
            ChildEvent::Signalled(signal) => Self::Signalled(signal),
            ChildEvent::Exited { status, why } => Self::Exited { status, why },
        }
    }
}

/// Bytes of what a child said or was told; `None` for its beginning and its end.
fn said(event: &ChildEvent<'_>) -> Option<usize> {
    match event {
        ChildEvent::Stderr(line) | ChildEvent::Stray(line) => Some(line.len()),
        ChildEvent::Sent(passed) | ChildEvent::Received(passed) => Some(passed.message.len()),
        ChildEvent::Spawned { .. }
        | ChildEvent::Session { .. }
        | ChildEvent::Signalled(_)
        | ChildEvent::Exited { .. } => None,
    }
}

#[cfg(test)]
mod tests;
