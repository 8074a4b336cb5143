//! The HTTP/2 connections to one endpoint.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connect::Socket;
use super::resting::SWEEP_EVERY;
use super::trunk::{MAX_STREAMS, Share, Trunk};

/// Connections that take calls, the oldest first. Calls go to the oldest with room, so that in quieter times the younger ones
/// become idle and are closed.
///
/// There are at most `max`. One that is let go takes no further calls, and ends with the last exchange on it.
pub(super) struct Trunks {
    trunks: Mutex<Vec<Arc<Trunk>>>,
    max: usize,
    idle_timeout: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Trunks {
    pub(super) fn new(max: usize, idle_timeout: Duration, tasks: TaskTracker, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { trunks: Mutex::default(), max, idle_timeout, tasks, stop })
    }

    /// Room on a connection that is not to be avoided. When there may be no more connections and on all of them something
    /// goes on, the call queues on the one with the fewest exchanges.
    pub(super) fn share(&self, avoid: &Avoid) -> Option<Share> {
        let trunks = self.trunks();
        let fit = trunks.iter().find(|trunk| !avoid.covers(trunk) && trunk.has_room());
        if let Some(trunk) = fit {
            return Some(trunk.share());
        }
        let full = trunks.len() >= self.max && !trunks.iter().any(|trunk| is_spare(trunk));
        let least = trunks.iter().filter(|_| full).min_by_key(|trunk| (avoid.covers(trunk), trunk.exchanges()));
        least.map(Trunk::share)
    }

    /// What the next connection will likely have room for: what the server allowed on the last one.
    pub(super) fn likely_limit(&self) -> usize {
        self.trunks().last().and_then(|trunk| trunk.limit()).unwrap_or(MAX_STREAMS)
    }

    /// Adds a connection, and gives the first room on it to who made it. If there are too many, one that has ended or is idle
    /// makes way; if there is none, the connection serves the one who made it alone.
    pub(super) async fn add(self: &Arc<Self>, socket: Socket) -> hyper::Result<Share> {
        let trunk = Trunk::over(socket, self.likely_limit()).await?;
        let share = trunk.share();
        self.tasks.spawn(Arc::clone(self).keep(trunk.drive()));
        let mut trunks = self.trunks();
        if trunks.len() >= self.max
            && let Some(spare) = trunks.iter().position(|trunk| is_spare(trunk))
        {
            trunks.remove(spare);
        }
        if trunks.len() < self.max {
            trunks.push(trunk);
        }
        Ok(share)
    }

    /// Lets go of the connections on which the server has said nothing since: it may have vanished, and pings tell no sooner
    /// than after [`KEEP_ALIVE`](super::connect::KEEP_ALIVE). Those on which it has answered others are kept: a slow call is no
    /// reason to scatter the rest over ever more connections.
    pub(super) fn retire_silent(&self, since: Instant) {
        self.trunks().retain(|trunk| trunk.was_heard_since(since));
    }

    /// Lets go of a connection.
    pub(super) fn retire(&self, retired: &Arc<Trunk>) {
        self.trunks().retain(|trunk| !Arc::ptr_eq(trunk, retired));
    }

    /// Drives a connection to its end, and sweeps meanwhile.
    async fn keep(self: Arc<Self>, connection: impl Future<Output = hyper::Result<()>>) {
        let mut connection = pin!(connection);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "HTTP/2 connection ended");
                    }
                    break;
                }
                () = tokio::time::sleep(SWEEP_EVERY.min(self.idle_timeout)) => self.sweep(),
            }
        }
        self.sweep();
    }

    /// Lets go of connections that have ended, or been idle too long.
    fn sweep(&self) {
        self.trunks().retain(|trunk| !trunk.has_ended() && !trunk.is_idle(self.idle_timeout));
    }

    fn trunks(&self) -> MutexGuard<'_, Vec<Arc<Trunk>>> {
        self.trunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if nothing is lost with it.
fn is_spare(trunk: &Trunk) -> bool {
    trunk.has_ended() || trunk.exchanges() == 0
}

/// The connections that a call does not try again.
#[derive(Default)]
pub(super) struct Avoid {
    /// Where it was tried, the server had gone or was going; the connections of that time may be as far gone.
    pub(super) opened_before: Option<Instant>,
    /// There the server had no room for it.
    pub(super) refused_by: Option<Arc<Trunk>>,
}

impl Avoid {
    fn covers(&self, trunk: &Arc<Trunk>) -> bool {
        self.opened_before.is_some_and(|tried| trunk.opened() <= tried)
            || self.refused_by.as_ref().is_some_and(|refused| Arc::ptr_eq(refused, trunk))
    }
}
