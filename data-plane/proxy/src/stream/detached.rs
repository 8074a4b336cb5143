//! A stream whose client has left. A disconnect is not a cancellation (MCP 2025-11-25, "Transports"), so the call goes on, and what
//! it brings waits in the event log.

use std::future::poll_fn;
use std::time::Duration;

use futures_util::future::BoxFuture;
use shadowcat_mcp::ErrorKind;

use super::events::Pump;

/// A call nobody has come back for is given up after this; its log says so. Longer than any tool a person waits for.
const DETACHED_MAX: Duration = Duration::from_secs(3600);

impl Pump {
    /// What is left to do after the client has gone, if anything.
    pub(super) fn into_rest(self: Box<Self>) -> Option<BoxFuture<'static, ()>> {
        if self.is_worth_finishing() {
            return Some(Box::pin(self.finish_alone()));
        }
        let (log, state) = self.into_log();
        Some(Box::pin(log?.close(state)))
    }

    async fn finish_alone(mut self: Box<Self>) {
        let to_the_end = async { while poll_fn(|cx| self.poll_bytes(cx)).await.is_some() {} };
        if tokio::time::timeout(DETACHED_MAX, to_the_end).await.is_err() {
            self.give_up(ErrorKind::UpstreamTimedOut, &format!("had not answered after {DETACHED_MAX:?}"));
        }
        let (log, state) = self.into_log();
        if let Some(log) = log {
            log.close(state).await;
        }
    }
}
