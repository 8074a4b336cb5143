//! Readers that wait for a stream to grow.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::Notify;

use super::keys::StreamKey;

/// Who waits for which stream. As many entries as there are waiting calls, each of which is a client's connection.
#[derive(Debug, Default)]
pub(super) struct Waiters(DashMap<StreamKey, Waited>);

#[derive(Debug, Default)]
struct Waited {
    changed: Arc<Notify>,
    readers: usize,
}

/// A reader's place among the waiters of a stream; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Listening<'a> {
    waiters: &'a Waiters,
    key: StreamKey,
    pub(super) changed: Arc<Notify>,
}

impl Waiters {
    /// From here on the reader hears of changes of the stream.
    pub(super) fn listen(&self, key: StreamKey) -> Listening<'_> {
        let mut waited = self.0.entry(key).or_default();
        waited.readers += 1;
        Listening { waiters: self, key, changed: Arc::clone(&waited.changed) }
    }

    /// The stream changed.
    pub(super) fn wake(&self, key: &StreamKey) {
        if let Some(waited) = self.0.get(key) {
            waited.changed.notify_waiters();
        }
    }

    /// Any stream may have changed.
    pub(super) fn wake_all(&self) {
        for waited in &self.0 {
            waited.changed.notify_waiters();
        }
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut waited) = self.waiters.0.entry(self.key) {
            waited.get_mut().readers -= 1;
            if waited.get().readers == 0 {
                waited.remove();
            }
        }
    }
}
