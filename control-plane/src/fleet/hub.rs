//! What every line and every operator looks at: the current version of each fleet, and the nodes that are connected.
//!
//! The heads stay here when the database is gone: a node that comes back then is served as ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use shadowcat_proto::admin::v1::{Progress, Rejection};
use shadowcat_proto::fleet::v1::{ConfigError, ConfigRef};
use tokio::sync::watch;

use super::live::{Ending, LiveNode, from_lines};
use super::snapshot::{Snapshot, SnapshotError};
use crate::observe::Metrics;
use crate::store::{Node, Version};

/// The current version of a fleet.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) version: Version,
    /// Its canonical bytes: reads are answered from here.
    pub(crate) content: Bytes,
    pub(crate) snapshot: Arc<Snapshot>,
}

impl Head {
    /// Makes a version ready to be sent. It takes as long as compressing it does: not for a runtime's thread.
    pub(crate) fn new(epoch: &str, version: Version, content: Bytes) -> Result<Self, SnapshotError> {
        let snapshot = Arc::new(Snapshot::new(reference(epoch, &version), &content)?);
        Ok(Self { version, content, snapshot })
    }
}

/// Of the epoch of a fleet, in hexadecimal: 128 bits, as the database's own has.
const EPOCH_CHARS: usize = 32;

/// The epoch of a fleet on the wire and in seeds: numbers count from 1 in each fleet of a database, so a node that moves to another
/// fleet comes with a number that means nothing there.
pub(crate) fn epoch_of(database: &str, fleet: &str) -> String {
    let mut epoch = shadowcat_config::digest(format!("{database}/{fleet}").as_bytes()).to_string();
    epoch.truncate(EPOCH_CHARS);
    epoch
}

/// How a version is named on the wire, where the database has this epoch.
pub(crate) fn reference(database: &str, version: &Version) -> ConfigRef {
    let digest = Bytes::copy_from_slice(version.digest.as_bytes());
    ConfigRef { epoch: epoch_of(database, &version.fleet), number: version.number, digest }
}

/// One fleet, as this replica sees it.
#[derive(Debug)]
pub(crate) struct LiveFleet {
    pub(crate) name: String,
    pub(crate) replicas: Replicas,
    head: watch::Sender<Option<Arc<Head>>>,
    nodes: Mutex<BTreeMap<String, Arc<LiveNode>>>,
    /// Since when a node that was here is not: it may be at another replica.
    left: Mutex<BTreeMap<String, SystemTime>>,
    /// Counts up when a node came, went, or moved to another version.
    moved: watch::Sender<u64>,
}

/// A node that another replica serves was heard of there within this time: three times as often as it is noted.
const HEARD_OF_WITHIN: Duration = Duration::from_secs(30);

/// What a node said last before it left this replica is written by then.
const NOTED_WITHIN: Duration = Duration::from_secs(2);

/// Who else may use the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replicas {
    /// Nobody: a node that is not connected here is connected nowhere.
    One,
    /// Others, which have nodes of their own.
    Several,
}

impl LiveFleet {
    fn new(name: &str, replicas: Replicas) -> Self {
        Self {
            name: name.to_owned(),
            replicas,
            head: watch::Sender::new(None),
            nodes: Mutex::default(),
            left: Mutex::default(),
            moved: watch::Sender::new(0),
        }
    }

    /// What the fleet runs, as far as this replica knows.
    pub(crate) fn head(&self) -> Option<Arc<Head>> {
        self.head.borrow().clone()
    }

    /// Follows the head.
    pub(crate) fn heads(&self) -> watch::Receiver<Option<Arc<Head>>> {
        self.head.subscribe()
    }

    /// Follows the nodes.
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// A node moved to another version, or refused one.
    pub(crate) fn node_moved(&self) {
        self.moved.send_modify(|count| *count += 1);
    }

    /// The nodes that are connected to this replica, by name.
    pub(crate) fn nodes(&self) -> Vec<Arc<LiveNode>> {
        self.locked().values().cloned().collect()
    }

    /// One that is connected to this replica.
    pub(crate) fn node(&self, name: &str) -> Option<Arc<LiveNode>> {
        self.locked().get(name).cloned()
    }

    /// A node has said hello. Whoever had the name before is ended: the newest instance wins.
    pub(crate) fn enter(&self, node: &Arc<LiveNode>) {
        let before = self.locked().insert(node.name.clone(), Arc::clone(node));
        if let Some(before) = before {
            let moved = before.instance == node.instance;
            if !moved {
                tracing::warn!(fleet = %self.name, node = %node.name, old = %before.address, new = %node.address,
                    "two instances claim one name: the newer one has it; is this a copied disk?");
            }
            before.end(if moved { Ending::Moved } else { Ending::Replaced });
        }
        self.node_moved();
    }

    /// A stream has ended. False, and nothing happens, if another stream has the name by now.
    pub(crate) fn leave(&self, node: &Arc<LiveNode>) -> bool {
        let mut nodes = self.locked();
        let left = nodes.get(&node.name).is_some_and(|known| Arc::ptr_eq(known, node));
        if left {
            nodes.remove(&node.name);
            drop(nodes);
            self.left.lock().unwrap_or_else(PoisonError::into_inner).insert(node.name.clone(), SystemTime::now());
            self.node_moved();
        }
        left
    }

    /// Since when a node that was connected to this replica is not.
    pub(crate) fn left(&self, name: &str) -> Option<SystemTime> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// How far a version has come on the nodes of this replica, and on those of others as they were noted last.
    /// `newest` is the number of the newest version, as far as anybody knows; `owing` is kept from look to look: who has not answered
    /// yet.
    pub(crate) fn progress(
        &self,
        reference: &ConfigRef,
        elsewhere: &[Node],
        newest: u64,
        owing: &mut BTreeSet<String>,
    ) -> Progress {
        let head = self.head().map_or(0, |head| head.version.number);
        let newest = newest.max(head);
        // What this replica has not come to yet is not ahead of the database.
        let is_new = |have: Option<&ConfigRef>| have.is_some_and(|have| (head + 1..=newest).contains(&have.number));
        let mut progress = Progress { number: reference.number, ..Progress::default() };
        let owed = std::mem::take(owing);
        let mut answered = BTreeSet::new();
        for node in elsewhere.iter().filter(|node| self.node(&node.name).is_none()) {
            progress.nodes += 1;
            let refusal = node.seen.refusal.as_ref().filter(|(number, _)| *number == reference.number);
            if node.seen.version == reference.number {
                progress.applied += 1;
            } else if let Some((_, errors)) = refusal {
                progress.rejections.push(Rejection { node: node.name.clone(), errors: from_lines(errors) });
            } else if node.seen.version > newest {
                progress.rejections.push(ahead(&node.name, node.seen.version));
            } else {
                owing.insert(node.name.clone());
                continue;
            }
            answered.insert(node.name.clone());
        }
        for node in self.nodes() {
            let state = node.state();
            progress.nodes += 1;
            if state.have.as_ref() == Some(reference) {
                progress.applied += 1;
            } else if let Some((_, errors)) = state.refusal.as_ref().filter(|(refused, _)| refused == reference) {
                progress.rejections.push(Rejection { node: node.name.clone(), errors: errors.clone() });
            } else if state.ahead && !is_new(state.have.as_ref()) {
                progress.rejections.push(ahead(&node.name, state.have.as_ref().map_or(0, |have| have.number)));
            } else {
                owing.insert(node.name.clone());
                continue;
            }
            answered.insert(node.name.clone());
        }
        progress.superseded_by = if newest > reference.number { newest } else { 0 };
        progress.done = progress.superseded_by > 0 || owing.is_empty();
        progress.left = owed.into_iter().filter(|node| !owing.contains(node) && !answered.contains(node)).collect();
        progress.nodes = progress.nodes.saturating_add(u32::try_from(progress.left.len()).unwrap_or(u32::MAX));
        owing.extend(progress.left.iter().cloned());
        progress
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Arc<LiveNode>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a node that is not connected here is to another replica, as far as can be known: it was heard of a moment ago, and
/// not because it was here.
pub(crate) fn is_elsewhere(fleet: Option<&LiveFleet>, kept: &Node) -> bool {
    if fleet.is_some_and(|fleet| fleet.replicas == Replicas::One) {
        return false;
    }
    let left = fleet.and_then(|fleet| fleet.left(&kept.name)).map(|at| at + NOTED_WITHIN);
    kept.last_seen
        .is_some_and(|at| at.elapsed().is_ok_and(|ago| ago < HEARD_OF_WITHIN) && left.is_none_or(|left| left < at))
}

/// A node that takes nothing, because this database has not come as far as it.
fn ahead(node: &str, number: u64) -> Rejection {
    let error = ConfigError {
        message: format!("the node runs version {number}, which this database does not have: was an old one restored?"),
        hint: "it takes versions again once their number has passed its own, or once it has joined anew with an empty --data-dir"
            .to_owned(),
        ..ConfigError::default()
    };
    Rejection { node: node.to_owned(), errors: vec![error] }
}

/// All fleets of this replica.
#[derive(Debug)]
pub(crate) struct Hub {
    epoch: String,
    replicas: Replicas,
    fleets: Mutex<BTreeMap<String, Arc<LiveFleet>>>,
    /// Nodes that were removed, for the time in which the store cannot be asked.
    removed: Mutex<BTreeSet<(String, String)>>,
    pub(crate) metrics: Metrics,
}

impl Hub {
    pub(crate) fn new(epoch: &str, replicas: Replicas, metrics: Metrics) -> Self {
        Self { epoch: epoch.to_owned(), replicas, fleets: Mutex::default(), removed: Mutex::default(), metrics }
    }

    /// Who else may use the database.
    pub(crate) fn replicas(&self) -> Replicas {
        self.replicas
    }

    /// The life of the database.
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// A fleet that has a version or had a node since this replica started.
    pub(crate) fn known(&self, name: &str) -> Option<Arc<LiveFleet>> {
        self.locked().get(name).cloned()
    }

    /// A fleet, known or not. Only for names that the store or a certificate vouches for: each is kept for good.
    pub(crate) fn fleet(&self, name: &str) -> Arc<LiveFleet> {
        let mut fleets = self.locked();
        let fleet = fleets.entry(name.to_owned()).or_insert_with(|| Arc::new(LiveFleet::new(name, self.replicas)));
        Arc::clone(fleet)
    }

    /// All of them, by name.
    pub(crate) fn fleets(&self) -> Vec<Arc<LiveFleet>> {
        self.locked().values().cloned().collect()
    }

    /// Makes a version its fleet's head, unless a newer one is.
    pub(crate) fn publish(&self, head: Head) {
        let fleet = self.fleet(&head.version.fleet);
        let number = head.version.number;
        let newer = fleet.head.send_if_modified(|known| {
            let newer = known.as_ref().is_none_or(|known| known.version.number < number);
            if newer {
                *known = Some(Arc::new(head));
            }
            newer
        });
        if newer {
            self.metrics.version(&fleet.name, number);
            fleet.node_moved();
        }
    }

    /// Ends a node's stream because it was removed, and remembers it.
    pub(crate) fn remove(&self, fleet: &str, name: &str) {
        self.removed().insert((fleet.to_owned(), name.to_owned()));
        if let Some(node) = self.known(fleet).and_then(|fleet| fleet.node(name)) {
            node.end(Ending::Removed);
        }
    }

    /// A removed node has joined again.
    pub(crate) fn readmit(&self, fleet: &str, name: &str) {
        self.removed().remove(&(fleet.to_owned(), name.to_owned()));
    }

    /// Whether a node is known to have been removed.
    pub(crate) fn is_removed(&self, fleet: &str, name: &str) -> bool {
        self.removed().contains(&(fleet.to_owned(), name.to_owned()))
    }

    fn removed(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Arc<LiveFleet>>> {
        self.fleets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
