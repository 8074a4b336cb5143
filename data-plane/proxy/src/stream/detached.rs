//! A stream whose client has left. A disconnect is not a cancellation (MCP 2025-11-25, "Transports"), so the call goes on, and what
//! it brings waits in the event log.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics::{Counter, Gauge};
use shadowcat_mcp::ErrorKind;
use tokio::sync::Semaphore;

use super::events::Pump;

/// A call nobody has come back for is given up after this; its log says so. Longer than any tool a person waits for.
const DETACHED_MAX: Duration = Duration::from_secs(3600);

/// Streams that go on without a client. Each holds an exchange with its upstream; beyond this many the next one is given up, its
/// log says so, and `shadowcat_streams_given_up_total` counts it.
const DETACHED_STREAMS_MAX: usize = 1024;

/// Counts the streams that go on without a client.
#[derive(Debug)]
pub(crate) struct Detached {
    places: Arc<Semaphore>,
    now: Gauge,
    given_up: Counter,
}

impl Detached {
    pub(crate) fn new(now: Gauge, given_up: Counter) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(DETACHED_STREAMS_MAX)), now, given_up })
    }
}

impl Pump {
    /// What is left to do after the client has gone, if anything.
    pub(super) fn into_rest(mut self: Box<Self>) -> Option<BoxFuture<'static, ()>> {
        if self.is_worth_finishing() {
            if let Ok(place) = Arc::clone(&self.detached.places).try_acquire_owned() {
                // A drain waits for it as it did while the client was there.
                let guard = self.drain.guard();
                return Some(Box::pin(async move {
                    self.finish_alone().await;
                    drop((place, guard));
                }));
            }
            self.detached.given_up.increment(1);
            self.give_up(ErrorKind::OutcomeUnknown, "was left alone: too many streams go on without a client");
        }
        let (log, state) = self.into_log();
        Some(Box::pin(log?.close(state)))
    }

    async fn finish_alone(mut self: Box<Self>) {
        let now = self.detached.now.clone();
        now.increment(1.0);
        let drain = self.drain.clone();
        let to_the_end = async { while poll_fn(|cx| self.poll_bytes(cx)).await.is_some() {} };
        let given_up = tokio::select! {
            ended = tokio::time::timeout(DETACHED_MAX, to_the_end) => {
                ended.err().map(|_| (ErrorKind::UpstreamTimedOut, format!("had not answered after {DETACHED_MAX:?}")))
            }
            () = drain.time_is_up() => {
                Some((ErrorKind::OutcomeUnknown, "had not answered when the gateway stopped".to_owned()))
            }
        };
        if let Some((kind, what)) = given_up {
            self.give_up(kind, &what);
        }
        let (log, state) = self.into_log();
        if let Some(log) = log {
            log.close(state).await;
        }
        now.decrement(1.0);
    }
}
