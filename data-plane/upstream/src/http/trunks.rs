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
/// There are at most `max`: for one more, the oldest is let go, and ends with the last exchange on it.
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

    /// Room on a connection, on one that was opened after `newer_than` if that is given.
    pub(super) fn share(&self, newer_than: Option<Instant>) -> Option<Share> {
        let trunks = self.trunks();
        let mut young = trunks.iter().filter(|trunk| newer_than.is_none_or(|since| trunk.opened > since));
        young.find(|trunk| trunk.has_room()).map(Trunk::share)
    }

    /// Adds a connection, and gives the first room on it to who made it.
    pub(super) async fn add(self: &Arc<Self>, socket: Socket) -> hyper::Result<Share> {
        // What the server allowed on its last connection it most likely allows on the next.
        let limit = self.trunks().last().and_then(|trunk| trunk.limit()).unwrap_or(MAX_STREAMS);
        let trunk = Trunk::over(socket, limit).await?;
        let share = trunk.share();
        self.tasks.spawn(Arc::clone(self).keep(trunk.drive()));
        let mut trunks = self.trunks();
        if trunks.len() >= self.max {
            trunks.remove(0);
        }
        trunks.push(trunk);
        Ok(share)
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
