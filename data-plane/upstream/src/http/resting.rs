//! HTTP/1.1 connections between calls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::Link;

/// A connection that has been idle too long is closed within this time of its due.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Connections without a call, the one that rested least last: at most as many as may be in use.
pub(super) struct Resting {
    links: Mutex<VecDeque<Box<Link>>>,
    max: usize,
    idle_timeout: Duration,
    /// A sweeper is at work.
    swept: AtomicBool,
    stop: CancellationToken,
}

impl Resting {
    pub(super) fn new(max: usize, idle_timeout: Duration, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { links: Mutex::default(), max, idle_timeout, swept: AtomicBool::new(false), stop })
    }

    /// The connection that rested least, if it is still good.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        loop {
            let mut link = self.links.lock().unwrap_or_else(PoisonError::into_inner).pop_back()?;
            if link.resting_since.elapsed() < self.idle_timeout && link.is_usable() {
                return Some(link);
            }
        }
    }

    fn put(self: &Arc<Self>, mut link: Box<Link>, tasks: &TaskTracker) {
        if !link.is_usable() {
            return;
        }
        link.resting_since = Instant::now();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() < self.max {
            links.push_back(link);
        }
        drop(links);
        if !self.swept.swap(true, Ordering::AcqRel) {
            tasks.spawn(Arc::clone(self).sweep());
        }
    }

    /// Closes what has rested too long, as long as anything rests.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP_EVERY.min(self.idle_timeout)) => {}
            }
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.retain_mut(|link| link.resting_since.elapsed() < self.idle_timeout && link.is_usable());
            if links.is_empty() {
                self.swept.store(false, Ordering::Release);
                return;
            }
        }
    }
}

/// A connection while an answer is read from it. Dropped before the end it is closed, which is how HTTP/1.1 leaves an exchange.
pub(super) struct Lent {
    pub(super) link: Box<Link>,
    pub(super) resting: Arc<Resting>,
    pub(super) tasks: TaskTracker,
}

impl Lent {
    /// Gives the connection back after the answer's last byte.
    pub(super) fn give_back(self) {
        self.resting.put(self.link, &self.tasks);
    }
}
