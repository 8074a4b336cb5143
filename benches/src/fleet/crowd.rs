//! The simulated nodes, all in this process, and what they say happened to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::node::{Entry, Journal, Node, What};

/// Room in the journal for two entries of each of the most nodes there are.
const JOURNAL: usize = 1_024;

/// Nodes that join at the same time: joining is not what is measured.
const JOINING_AT_ONCE: usize = 16;

/// How long nodes may take for what they all do: three times the slowest target. Beyond it the measurement is void.
const DEADLINE: Duration = Duration::from_secs(60);

/// The simulated nodes. They end with this value.
pub(super) struct Crowd {
    address: SocketAddr,
    journal: Arc<Journal>,
    entries: mpsc::Receiver<Entry>,
    nodes: JoinSet<()>,
}

impl Crowd {
    /// Nobody yet, under the control plane at `address`.
    pub(super) fn new(address: SocketAddr) -> Self {
        let (sender, entries) = mpsc::channel(JOURNAL);
        let sizes = [AtomicU32::new(0), AtomicU32::new(0)];
        let journal = Arc::new(Journal { entries: sender, chunks: AtomicU64::new(0), sizes });
        Self { address, journal, entries, nodes: JoinSet::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Pieces of snapshots that came, to all nodes together.
    pub(super) fn chunks(&self) -> u64 {
        self.journal.chunks.load(Ordering::Relaxed)
    }

    /// Bytes of the snapshot that came last: as it was sent, and unpacked.
    pub(super) fn snapshot_bytes(&self) -> [u32; 2] {
        [0, 1].map(|which| self.journal.sizes[which].load(Ordering::Relaxed))
    }

    /// Lets so many more join and connect, and waits until each of them is where `what` says.
    pub(super) async fn grow(&mut self, more: usize, token: &str, what: &What) -> anyhow::Result<()> {
        let begin = self.len();
        let joining = Arc::new(Semaphore::new(JOINING_AT_ONCE));
        let mut joined = JoinSet::new();
        for index in begin..begin + more {
            let (joining, journal) = (Arc::clone(&joining), Arc::clone(&self.journal));
            let (address, token) = (self.address, token.to_owned());
            joined.spawn(async move {
                let _permit = joining.acquire().await?;
                Node::join(index, address, &token, journal).await.with_context(|| format!("node {index} cannot join"))
            });
        }
        while let Some(node) = joined.join_next().await {
            self.nodes.spawn(node??.live());
        }
        self.each(more, what).await?;
        Ok(())
    }

    /// Waits until so many nodes have come to `what`, and tells when each did. Everything else that happens meanwhile is
    /// passed over.
    pub(super) async fn each(&mut self, nodes: usize, what: &What) -> anyhow::Result<Vec<Instant>> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let mut when = BTreeMap::new();
        let mut lost = String::new();
        while when.len() < nodes {
            let entry = match timeout_at(deadline, self.entries.recv()).await {
                Ok(entry) => entry.context("every node is gone")?,
                Err(_) if lost.is_empty() => {
                    bail!("{} of {nodes} nodes came to {what:?} within {DEADLINE:?}", when.len())
                }
                Err(_) => bail!(
                    "{} of {nodes} nodes came to {what:?} within {DEADLINE:?}; a line that was lost last: {lost}",
                    when.len()
                ),
            };
            match entry.what {
                happened if happened == *what => _ = when.entry(entry.node).or_insert(entry.at),
                What::Lost(why) => lost = why,
                What::Welcomed | What::Applied(_) => {}
            }
        }
        Ok(when.into_values().collect())
    }

    /// Lets time pass; what the nodes write meanwhile is read, so that none of them waits.
    pub(super) async fn idle(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while let Ok(Some(_)) = timeout_at(until, self.entries.recv()).await {}
    }
}
