//! What nodes say of traffic as it happens, for whoever follows.
//!
//! Nothing here is kept: the segments have every record. Whoever is too slow misses some, and is told how many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use shadowcat_proto::fleet::v1::LiveRecords;
use tokio::sync::{broadcast, watch};

/// Messages of records that wait for the slowest of those who follow; each has some tens of records. Beyond it they are skipped,
/// and counted.
const QUEUE: usize = 256;

/// Records of one node, as they came.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) node: Arc<str>,
    pub(crate) instance: Arc<str>,
    /// Lines of the record format.
    pub(crate) records: Vec<Bytes>,
    /// Records that the node left out before these.
    pub(crate) skipped: u64,
}

/// One fleet's followers.
#[derive(Debug)]
struct Channel {
    records: broadcast::Sender<Arc<Batch>>,
    /// How many follow.
    followers: watch::Sender<usize>,
}

/// What nodes of this replica say of traffic.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Of fleets that a certificate or the store vouches for: each is kept for good.
    channels: Mutex<BTreeMap<String, Arc<Channel>>>,
    /// Streams that nodes ship on, by fleet and node: more than one while a node changes from one to the next.
    streams: Mutex<BTreeMap<(String, String), usize>>,
}

/// Somebody who follows; nodes are told to go on as long as there is one.
pub(crate) struct Follower {
    records: broadcast::Receiver<Arc<Batch>>,
    channel: Arc<Channel>,
}

impl Live {
    /// Whether somebody follows a fleet, now and later.
    pub(crate) fn followed(&self, fleet: &str) -> watch::Receiver<usize> {
        self.channel(fleet).followers.subscribe()
    }

    /// Follows a fleet.
    pub(crate) fn follow(&self, fleet: &str) -> Follower {
        let channel = self.channel(fleet);
        channel.followers.send_modify(|count| *count += 1);
        Follower { records: channel.records.subscribe(), channel }
    }

    /// A node has opened a stream.
    pub(crate) fn begins(&self, fleet: &str, node: &str) {
        *self.streams().entry((fleet.to_owned(), node.to_owned())).or_default() += 1;
    }

    /// A stream of a node has ended.
    pub(crate) fn ends(&self, fleet: &str, node: &str) {
        let key = (fleet.to_owned(), node.to_owned());
        let mut streams = self.streams();
        if let Some(count) = streams.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                streams.remove(&key);
            }
        }
    }

    /// The nodes of a fleet that have a stream.
    pub(crate) fn shipping(&self, fleet: &str) -> Vec<String> {
        self.streams().keys().filter(|(of, _)| of == fleet).map(|(_, node)| node.clone()).collect()
    }

    /// A node says what happens.
    pub(crate) fn says(&self, fleet: &str, from: (&Arc<str>, &Arc<str>), said: LiveRecords) {
        let batch = Batch {
            node: Arc::clone(from.0),
            instance: Arc::clone(from.1),
            records: said.records,
            skipped: said.skipped,
        };
        // Nobody may follow any more: the node has not heard of it yet.
        let _ = self.channel(fleet).records.send(Arc::new(batch));
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<(String, String), usize>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn channel(&self, fleet: &str) -> Arc<Channel> {
        let mut channels: MutexGuard<'_, _> = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(fleet.to_owned()).or_insert_with(|| {
            Arc::new(Channel { records: broadcast::Sender::new(QUEUE), followers: watch::Sender::new(0) })
        });
        Arc::clone(channel)
    }
}

impl Follower {
    /// What comes next, or how many messages of records were skipped; never ends.
    pub(crate) async fn next(&mut self) -> Result<Arc<Batch>, u64> {
        match self.records.recv().await {
            Ok(batch) => Ok(batch),
            Err(broadcast::error::RecvError::Lagged(skipped)) => Err(skipped),
            // The channel is held here too.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.channel.followers.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nodes_are_followed_as_long_as_somebody_follows() {
        let live = Live::default();
        let followed = live.followed("f");
        let (one, other) = (live.follow("f"), live.follow("f"));
        drop(one);
        assert_eq!((*followed.borrow(), *live.followed("g").borrow()), (1, 0));
        drop(other);
        assert_eq!(*followed.borrow(), 0);
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_how_much_was_skipped() {
        let live = Live::default();
        let mut slow = live.follow("f");
        let (node, instance) = ("n".into(), "i".into());
        for number in 0..QUEUE as u64 + 10 {
            live.says("f", (&node, &instance), LiveRecords { skipped: number, ..LiveRecords::default() });
        }
        assert_eq!(slow.next().await.unwrap_err(), 10);
        assert_eq!(slow.next().await.unwrap().skipped, 10);
    }
}
