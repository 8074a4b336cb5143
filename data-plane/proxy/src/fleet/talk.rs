//! What is under way on a line, and when the next thing is due.

use std::future::pending;
use std::time::Duration;

use futures_util::future::BoxFuture;
use shadowcat_config::ConfigRef;
use shadowcat_proto::fleet::v1 as wire;
use shadowcat_proto::fleet::v1::node_message::Kind;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::ending::LineError;
use super::identity::Identity;
use super::line::Line;
use super::prepare::{PrepareError, Prepared};
use super::report::Reports;

/// Something under way that may not be there.
pub(super) type Slot<'a, T> = Option<BoxFuture<'a, T>>;

/// Resolves when what is in the slot has, and empties it; never while it is empty.
pub(super) async fn done<T>(slot: &mut Slot<'_, T>) -> T {
    let Some(under_way) = slot else { return pending().await };
    let result = under_way.await;
    *slot = None;
    result
}

/// Resolves at `at`; never without one.
pub(super) async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// What is under way on a line.
pub(super) struct Talk<'a> {
    pub(super) line: Line,
    pub(super) outbox: mpsc::Sender<wire::NodeMessage>,
    pub(super) preparing: Slot<'a, (ConfigRef, Result<Prepared, PrepareError>)>,
    pub(super) prepared: Option<Prepared>,
    pub(super) renewing: Slot<'a, Result<Identity, LineError>>,
    pub(super) counting: Slot<'a, wire::NodeHealth>,
    pub(super) reports: Reports,
    /// When the next thing is due; the welcome first.
    pub(super) welcome_by: Option<Instant>,
    pub(super) health_at: Option<Instant>,
    pub(super) health_every: Duration,
    pub(super) renew_at: Option<Instant>,
    pub(super) leave_at: Option<Instant>,
}

impl Talk<'_> {
    /// Says something; a control plane that takes nothing any more loses the line.
    pub(super) fn say(&self, kind: Kind) -> Result<(), LineError> {
        let message = wire::NodeMessage { kind: Some(kind) };
        self.outbox.try_send(message).map_err(|_| LineError::Stuck)
    }
}
