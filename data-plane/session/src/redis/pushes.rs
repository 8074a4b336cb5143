//! What Redis says unasked.

use std::sync::Arc;

use redis::aio::{AsyncPushSender, SendError};
use redis::{PushInfo, PushKind, Value};

use super::cache::Cache;
use super::keys::Changed;
use super::status::Status;
use super::waiters::Waiters;

/// Where pushes go. They are handled where they are read, in the connection's own task: there is no queue that could be full,
/// and what follows a push on the connection is seen by nobody before the push has had its effect.
#[derive(Debug, Clone)]
pub(super) struct Pushes {
    pub(super) cache: Arc<Cache>,
    pub(super) waiters: Arc<Waiters>,
    pub(super) status: Arc<Status>,
}

/// Pushes of one link.
pub(super) struct LinkPushes {
    pub(super) pushes: Pushes,
    pub(super) generation: u64,
}

impl AsyncPushSender for LinkPushes {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        match push.kind {
            PushKind::Invalidate => self.pushes.invalidate(&push.data),
            PushKind::Disconnection => self.pushes.status.went(self.generation, "the connection was closed"),
            _ => {}
        }
        Ok(())
    }
}

impl Pushes {
    /// `data` holds an array of keys, or nil when the whole database was flushed.
    fn invalidate(&self, data: &[Value]) {
        let Some(Value::Array(keys)) = data.first() else {
            self.cache.invalidate_all();
            self.waiters.wake_all();
            return;
        };
        for key in keys {
            let Value::BulkString(key) = key else { continue };
            match Changed::parse(key) {
                Some(Changed::Session(id)) => self.cache.invalidate(&id),
                Some(Changed::Stream(key)) => self.waiters.wake(&key),
                None => {}
            }
        }
    }
}
