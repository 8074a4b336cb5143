//! Work on whole configurations, away from the runtime's threads, on which nodes are served.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Status;

/// Configurations that are worked on at once: each may take some hundred megabytes while it is unpacked.
const AT_ONCE: usize = 2;

/// A call waits this long for its turn; reading the largest configuration takes a second or two.
const TURN_DEADLINE: Duration = Duration::from_secs(10);

/// Where such work is done. Clones share the turns.
#[derive(Debug, Clone)]
pub(crate) struct Aside(Arc<Semaphore>);

impl Default for Aside {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Aside {
    /// Does this work when it is its turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let turn = timeout(TURN_DEADLINE, Arc::clone(&self.0).acquire_owned()).await;
        let turn = turn
            .map_err(|_| Status::resource_exhausted("other configurations are being read: try again"))?
            .map_err(|closed| Status::internal(closed.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            // Until the work has ended, whether somebody still waits for it or not.
            let _turn = turn;
            work()
        });
        done.await.map_err(|stopped| Status::internal(stopped.to_string()))?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use tonic::Code;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn beyond_two_at_once_a_call_waits_for_its_turn_and_not_for_ever() {
        let aside = Aside::default();
        let held: Vec<_> = (0..AT_ONCE).map(|_| Arc::clone(&aside.0).try_acquire_owned().unwrap()).collect();
        let refused = aside.run(|| Ok(())).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        drop(held);
        // A call that is given up does not give its turn to another before its work has ended.
        let (open, gate) = sync_channel::<()>(0);
        let work = move || {
            assert!(gate.recv().is_err(), "it is opened by its other end's going");
            Ok(())
        };
        tokio::select! {
            biased;
            _ = aside.run(work) => panic!("it is held up"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(aside.0.available_permits(), AT_ONCE - 1);
        drop(open);
        while aside.0.available_permits() < AT_ONCE {
            tokio::task::yield_now().await;
        }
        aside.run(|| Ok(())).await.unwrap();
    }
}
