//! Brings what the store has to the hub: versions and removals, made by this replica or another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::hub::{Head, Hub, LiveFleet};
use super::live::Ending;
use crate::store::{Node, Store, StoreError, Version};

/// A look at the store follows another after this at the earliest, so that many changes at once cost few looks.
const BREATH: Duration = Duration::from_millis(100);

/// The store is looked at this often though it tells of no change: a node may come between a look and its hello, and its removal
/// may have been told of in between.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A store that failed is asked again after this; it may also say so itself, by counting up.
const RETRY: Duration = Duration::from_secs(1);

/// Looks whenever the store has changed, and every [`LOOK_EVERY`], until `stop`.
pub(crate) async fn run(hub: Arc<Hub>, store: Arc<dyn Store>, stop: CancellationToken) {
    let mut changes = store.changes();
    loop {
        changes.borrow_and_update();
        let looked = look(&hub, store.as_ref()).await;
        let again = async {
            if let Err(error) = &looked {
                tracing::warn!(%error, "nodes go on with the versions that are known here");
                return tokio::time::sleep(RETRY).await;
            }
            tokio::time::sleep(BREATH).await;
            if let Ok(Err(_)) = timeout(LOOK_EVERY, changes.changed()).await {
                // The store is closed; so is this control plane, soon.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = again => {}
        }
    }
}

/// One look at everything. A fleet that cannot be read keeps no other from what is new.
///
/// # Errors
/// When the store cannot be asked: the first error.
pub(crate) async fn look(hub: &Arc<Hub>, store: &dyn Store) -> Result<(), StoreError> {
    let mut looked = Ok(());
    for version in store.heads().await? {
        looked = looked.and(head(hub, store, version).await);
    }
    for fleet in hub.fleets() {
        looked = looked.and(nodes(hub, store, &fleet).await);
    }
    looked
}

async fn head(hub: &Arc<Hub>, store: &dyn Store, version: Version) -> Result<(), StoreError> {
    let known = hub.known(&version.fleet).and_then(|fleet| fleet.head()).map_or(0, |head| head.version.number);
    if version.number > known
        && let Some(content) = store.content(&version.fleet, version.number).await?
    {
        publish(hub, version, content).await;
    }
    Ok(())
}

async fn nodes(hub: &Hub, store: &dyn Store, fleet: &LiveFleet) -> Result<(), StoreError> {
    let live = fleet.nodes();
    if live.is_empty() {
        return Ok(());
    }
    let kept = store.nodes(&fleet.name).await?;
    let kept: BTreeMap<&str, &Node> = kept.iter().map(|node| (node.name.as_str(), node)).collect();
    for node in live {
        match kept.get(node.name.as_str()) {
            Some(kept) if node.identity.is_of(kept) => {}
            // That one is not to be kept out.
            Some(_) => node.end(Ending::Superseded),
            None => {
                tracing::info!(fleet = %fleet.name, node = %node.name, "the node was removed");
                hub.remove(&fleet.name, &node.name);
            }
        }
    }
    Ok(())
}

/// Makes a version ready, away from the runtime's threads, and shows it to the nodes.
pub(crate) async fn publish(hub: &Arc<Hub>, version: Version, content: bytes::Bytes) {
    let hub = Arc::clone(hub);
    let (fleet, number) = (version.fleet.clone(), version.number);
    let made = tokio::task::spawn_blocking(move || {
        Head::new(hub.epoch(), version, content).map(|head| hub.publish(head)).map_err(|error| error.to_string())
    });
    if let Err(error) = made.await.unwrap_or_else(|stopped| Err(stopped.to_string())) {
        tracing::error!(%fleet, number, %error, "the version cannot be sent");
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, SqliteConnection};
    use std::time::SystemTime;

    use shadowcat_proto::fleet::v1::Hello;

    use super::*;
    use crate::authority::NodeIdentity;
    use crate::fleet::LiveNode;
    use crate::fleet::hub::Replicas;
    use crate::fleet::live::Peer;
    use crate::observe::Metrics;
    use crate::store;
    use crate::store::testing::joined;

    #[tokio::test]
    async fn a_fleet_that_cannot_be_read_keeps_no_other_from_what_is_new() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        let store = store::open(&url).await.unwrap();
        let hub = Arc::new(Hub::new(store.epoch(), Replicas::One, Metrics::new()));
        let entered = ["a", "b"].map(|fleet| {
            let peer = Peer::test();
            let peer = Peer { identity: NodeIdentity { fleet: fleet.to_owned(), ..peer.identity }, ..peer };
            let (node, _) = LiveNode::new(peer, &Hello::default(), None);
            hub.fleet(fleet).enter(&node);
            node
        });
        joined(store.as_ref(), "a", "n").await;
        let mut beside = SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("UPDATE nodes SET labels = 'torn'").execute(&mut beside).await.unwrap();
        look(&hub, store.as_ref()).await.unwrap_err();
        assert_eq!(entered.map(|node| *node.ended().borrow()), [None, Some(Ending::Removed)]);
    }

    #[tokio::test]
    async fn a_stream_from_before_its_node_joined_again_is_ended_and_the_node_is_not_kept_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = store::open(&directory.path().join("test.db").display().to_string()).await.unwrap();
        let hub = Arc::new(Hub::new(store.epoch(), Replicas::One, Metrics::new()));
        let now = SystemTime::now();
        joined(store.as_ref(), "f", "n").await;
        for (age, ended) in [(Duration::from_secs(3_600), Some(Ending::Superseded)), (Duration::ZERO, None)] {
            let peer = Peer::test();
            let peer = Peer { identity: NodeIdentity { issued_at: now - age, ..peer.identity }, ..peer };
            let (node, _asked) = LiveNode::new(peer, &Hello::default(), None);
            hub.fleet("f").enter(&node);
            look(&hub, store.as_ref()).await.unwrap();
            assert_eq!(*node.ended().borrow(), ended);
            assert!(!hub.is_removed("f", "n"));
        }
    }
}
