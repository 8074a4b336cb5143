//! What nodes say of themselves, on its way to the store.
//!
//! Streams note and go on; one task writes. A node that says much is written once a round, with what it said last, so the queue
//! is never longer than there are nodes. While the store is gone, notes wait here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::hub::epoch_of;
use super::live::LiveNode;
use crate::store::{Note, Noted, Store, StoreError};

/// How long a note waits at most: what a refusal may be late for a replica to which the node goes next. (The node says it too.)
const ROUND: Duration = Duration::from_millis(500);

/// A node that says nothing new is noted this often, so that `last_seen` means something after a restart.
const SEEN_EVERY: Duration = Duration::from_secs(10);

/// Nodes that are written in one transaction: few waits for the disk, and none of them long.
const BATCH: usize = 100;

/// What waits to be written, by fleet and node.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    waiting: Mutex<BTreeMap<(String, String), Arc<LiveNode>>>,
    written: Mutex<BTreeMap<(String, String), Instant>>,
}

impl Notes {
    /// Notes a node that has something new to be kept.
    pub(crate) fn note(&self, node: &Arc<LiveNode>) {
        let key = (node.fleet.clone(), node.name.clone());
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(node));
    }

    /// What the node of this name was like whose note is not written yet.
    pub(crate) fn unwritten(&self, fleet: &str, name: &str) -> Option<Arc<LiveNode>> {
        let key = (fleet.to_owned(), name.to_owned());
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// Notes that a node was heard of, unless it was noted a moment ago.
    pub(crate) fn note_seen(&self, node: &Arc<LiveNode>) {
        let key = (node.fleet.clone(), node.name.clone());
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if written.is_none_or(|written| written.elapsed() >= SEEN_EVERY) {
            self.note(node);
        }
    }

    /// Writes until `stop`, and what is left then.
    pub(crate) async fn run(&self, epoch: &str, store: &dyn Store, stop: CancellationToken) {
        let mut round = tokio::time::interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.write(epoch, store).await,
                _ = round.tick() => self.write(epoch, store).await,
            }
        }
    }

    async fn write(&self, epoch: &str, store: &dyn Store) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let all: Vec<_> = waiting.into_iter().collect();
        for (done, batch) in all.chunks(BATCH).enumerate() {
            let notes: Vec<Note> = batch.iter().map(|(_, node)| node.note(&epoch_of(epoch, &node.fleet))).collect();
            match note(store, &notes).await {
                Ok(noted) => batch.iter().zip(noted).for_each(|((_, node), noted)| node.noted(noted)),
                Err(error) => {
                    tracing::debug!(%error, "nodes are noted later");
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    for (key, node) in &all[done * BATCH..] {
                        waiting.entry(key.clone()).or_insert_with(|| Arc::clone(node));
                    }
                    return;
                }
            }
            let now = Instant::now();
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.extend(batch.iter().map(|(key, _)| (key.clone(), now)));
        }
    }
}

/// Notes a batch. What the store will not have of one node does not hold up the others, nor is it tried again.
async fn note(store: &dyn Store, notes: &[Note]) -> Result<Vec<Noted>, StoreError> {
    match store.note_nodes(notes).await {
        Err(StoreError::Unkept(_)) => {}
        noted => return noted,
    }
    let mut all = Vec::with_capacity(notes.len());
    for one in notes {
        match store.note_nodes(std::slice::from_ref(one)).await {
            Err(StoreError::Unkept(why)) => {
                tracing::warn!(fleet = %one.fleet, node = %one.name, why, "what the node says of itself is not kept");
                all.push(Noted::Stale);
            }
            noted => all.extend(noted?),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use shadowcat_proto::fleet::v1::{ConfigRef, Hello};
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;
    use crate::authority::NodeIdentity;
    use crate::fleet::live::Peer;
    use crate::store;
    use crate::store::testing::joined;

    #[tokio::test]
    async fn what_a_node_said_on_a_stream_that_ended_at_once_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        let store = store::open(&url).await.unwrap();
        joined(store.as_ref(), "f", "n").await;
        let notes = Notes::default();
        for (instance, number) in [("first", 1), ("second", 2), ("third", 3)] {
            let hello = Hello { instance: instance.to_owned(), ..Hello::default() };
            let node = LiveNode::new(Peer::test(), &hello, None).0;
            let epoch = epoch_of(store.epoch(), "f");
            node.came_after(store.node("f", "n").await.unwrap().unwrap().stream);
            node.refuses(ConfigRef { epoch, number, ..ConfigRef::default() }, Vec::new());
            node.close();
            notes.note(&node);
            notes.write(store.epoch(), store.as_ref()).await;
            let seen = store.node("f", "n").await.unwrap().unwrap().seen;
            assert_eq!((&*seen.instance, seen.refusal.map(|(number, _)| number)), (instance, Some(number)));
        }
    }

    #[tokio::test]
    async fn what_is_not_kept_of_one_node_holds_up_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        let store = store::open(&url).await.unwrap();
        let mut beside = SqliteConnection::connect(&url).await.unwrap();
        let picky =
            "CREATE TRIGGER picky BEFORE UPDATE ON nodes WHEN NEW.build = 'odd' BEGIN SELECT RAISE(ABORT, 'no'); END";
        sqlx::raw_sql(picky).execute(&mut beside).await.unwrap();
        let notes = Notes::default();
        for (name, build) in [("a", "even"), ("b", "odd"), ("c", "even")] {
            joined(store.as_ref(), "f", name).await;
            let peer = Peer::test();
            let peer = Peer { identity: NodeIdentity { node: name.to_owned(), ..peer.identity }, ..peer };
            let hello = Hello { build: build.to_owned(), ..Hello::default() };
            notes.note(&LiveNode::new(peer, &hello, None).0);
        }
        notes.write(store.epoch(), store.as_ref()).await;
        let builds: Vec<_> = store.nodes("f").await.unwrap().into_iter().map(|node| node.seen.build).collect();
        assert_eq!(builds, ["even", "", "even"]);
        assert!(store.health().is_ok());
        assert!(notes.unwritten("f", "b").is_none());
    }
}
