//! What nodes say of traffic as it happens: records for whoever follows, and what calls come to.
//!
//! Nothing here is kept: the segments have every record. Whoever is too slow misses some, and is told how many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use shadowcat_proto::fleet::v1::{LiveRecords, Traffic};
use tokio::sync::{broadcast, watch};

/// Messages of records that wait for the slowest of those who follow; each has some tens of records. Beyond it they are skipped,
/// and counted.
const QUEUE: usize = 256;

/// Nodes whose traffic is remembered: as many as a fleet is meant to have, and more.
const NODES_MAX: usize = 4_096;

/// Kinds of calls of one node that are remembered: a thousand tools of four routes. What a node says beyond them is left out.
const SERIES_MAX: usize = 4_096;

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
    traffic: Mutex<BTreeMap<(String, String), Counted>>,
    /// Streams that nodes ship on, by fleet and node: more than one while a node changes from one to the next.
    streams: Mutex<BTreeMap<(String, String), usize>>,
}

/// What the calls of a node came to, as it said last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    /// The boot since which it counts.
    pub(crate) instance: String,
    pub(crate) traffic: Traffic,
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
    pub(crate) fn ends(&self, fleet: &str, node: &str, instance: &str) {
        let key = (fleet.to_owned(), node.to_owned());
        let mut streams = self.streams();
        let left = streams.get_mut(&key).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            streams.remove(&key);
        }
        drop(streams);
        if left == 0 {
            self.forget(fleet, node, instance);
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

    /// A node says what its calls come to.
    pub(crate) fn counts(&self, fleet: &str, node: &str, instance: &str, mut traffic: Traffic) {
        traffic.series.truncate(SERIES_MAX);
        let key = (fleet.to_owned(), node.to_owned());
        let mut known = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < NODES_MAX || known.contains_key(&key) {
            known.insert(key, Counted { instance: instance.to_owned(), traffic });
        }
    }

    fn forget(&self, fleet: &str, node: &str, instance: &str) {
        let key = (fleet.to_owned(), node.to_owned());
        let mut known = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&key).is_some_and(|counted| counted.instance == instance) {
            known.remove(&key);
        }
    }

    /// What the calls of a fleet come to, by node.
    #[allow(dead_code, reason = "the overview shows it next")]
    pub(crate) fn traffic(&self, fleet: &str) -> Vec<(String, Counted)> {
        let known = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let of_fleet = known.iter().filter(|((of, _), _)| of == fleet);
        of_fleet.map(|((_, node), counted)| (node.clone(), counted.clone())).collect()
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

    #[test]
    fn the_newest_word_of_a_node_counts_until_its_boot_ends() {
        let live = Live::default();
        let traffic = Traffic { series: vec![shadowcat_proto::fleet::v1::TrafficSeries::default(); SERIES_MAX + 1] };
        live.counts("f", "n", "one", traffic);
        assert_eq!(live.traffic("f")[0].1.traffic.series.len(), SERIES_MAX);
        live.counts("f", "n", "two", Traffic::default());
        live.forget("f", "n", "one");
        assert_eq!(live.traffic("f")[0].1.instance, "two");
        live.forget("f", "n", "two");
        assert!(live.traffic("f").is_empty());
    }
}
