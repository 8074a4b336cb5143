//! What the streams of nodes have in common: how they begin, how old they get, and how they end.

use std::time::Duration;

use futures_util::{TryStream, TryStreamExt as _};
use shadowcat_proto::fleet::v1::Reconnect;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::farewell::stopping;

/// A node says hello within this time of opening a stream; it has nothing to look up before.
pub(crate) const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// How old a stream gets, give or take [`AGE_JITTER`]: nodes spread over replicas that came later.
pub(crate) const STREAM_AGE: Duration = Duration::from_secs(30 * 60);

/// Streams that began together do not end together.
const AGE_JITTER: f64 = 0.2;

/// A node that is told to reconnect does so within this time, at a moment of its own.
pub(crate) const RECONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A stream that was to be left is ended after this long.
pub(crate) const RECONNECT_GRACE: Duration = Duration::from_secs(15);

/// The word with which a stream ends reaches a node that reads; one that does not is not waited for.
pub(crate) const LAST_WORD: Duration = Duration::from_millis(500);

/// The first message of a stream, which has this name.
pub(crate) async fn first<S>(incoming: &mut S, hello: &'static str) -> Result<Option<S::Ok>, Status>
where
    S: TryStream<Error = Status> + Unpin,
{
    let late = |_| Status::deadline_exceeded(format!("a stream begins with {hello}, within 5 s"));
    timeout(HELLO_DEADLINE, incoming.try_next()).await.map_err(late)?
}

/// What a stream begins with, unless this replica stops before.
pub(crate) async fn begun<T>(
    stop: &CancellationToken,
    beginning: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    stop.run_until_cancelled(beginning).await.unwrap_or_else(|| Err(stopping()))
}

/// Tells a node why its stream has ended, if there is a reason.
pub(crate) async fn say_last<M>(outgoing: &mpsc::Sender<Result<M, Status>>, ended: Result<(), Status>) {
    if let Err(word) = ended {
        // The node may be gone, or not read: then there is nobody to tell.
        let _ = timeout(LAST_WORD, outgoing.send(Err(word))).await;
    }
}

/// How long a stream goes on.
#[derive(Debug)]
pub(crate) struct Age {
    /// When the node is told to reconnect; then, when the stream ends.
    until: Instant,
    is_told: bool,
}

impl Age {
    /// Of a stream that begins.
    pub(crate) fn new() -> Self {
        let age = STREAM_AGE.mul_f64(1.0 - AGE_JITTER + 2.0 * AGE_JITTER * fastrand::f64());
        Self { until: Instant::now() + age, is_told: false }
    }

    /// When [`Age::leave`] is due.
    pub(crate) const fn until(&self) -> Instant {
        self.until
    }

    /// What the node is told, to open another stream; when it did not, the word with which this one ends.
    pub(crate) fn leave(&mut self) -> Result<Reconnect, Status> {
        if self.is_told {
            return Err(Status::unavailable("the stream has reached its age: connect again"));
        }
        self.is_told = true;
        let after = RECONNECT_WITHIN.mul_f64(fastrand::f64());
        self.until = Instant::now() + after + RECONNECT_GRACE;
        Ok(Reconnect { after_ms: u32::try_from(after.as_millis()).unwrap_or(u32::MAX) })
    }
}

/// Waits for a time; for ever, if there is none.
pub(crate) async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
