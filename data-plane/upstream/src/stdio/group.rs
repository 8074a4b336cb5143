//! The process group of a child.

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::time::{Duration, Instant, sleep};

use crate::reaper::Reaper;

/// How often a group that was told to end is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A group in the reaper's care. Dropping it kills whatever is left of it: that is for tasks that are torn down together
/// with their runtime; in an orderly end it is empty by then.
///
/// Its number is that of the child. The kernel gives it to nobody else while one process of the group is left, and after
/// that only once it has gone through all other numbers: the few instructions between the end and the last signal are
/// no window.
pub(super) struct ProcessGroup {
    leader: Pid,
    reaper: Reaper,
}

impl ProcessGroup {
    pub(super) fn of(leader: Pid, reaper: Reaper) -> Self {
        reaper.watch(leader);
        Self { leader, reaper }
    }

    pub(super) fn signal(&self, signal: Signal) {
        // A group that is gone is what was wanted.
        let _ = kill_process_group(self.leader, signal);
    }

    /// Ends what outlived the child: a server below a shell, say.
    pub(super) async fn end(&self, grace: Duration) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + grace;
        while test_kill_process_group(self.leader).is_ok() && Instant::now() < deadline {
            sleep(POLL).await;
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.reaper.forget(self.leader);
    }
}
