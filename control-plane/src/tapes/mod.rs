//! Tapes: what nodes recorded, kept and found again.
//!
//! - [`blobs`]: where the bytes are.
//! - [`ship`]: how they come.
//! - [`decode`]: a segment as rows of the index.
//! - [`index`]: which frames there are, and in which segment each is.
//! - [`query`]: what operators ask.
//! - [`deletion`]: what operators delete.
//! - [`retention`]: what is forgotten, and when.
//! - [`live`]: traffic as it happens, for whoever follows.
//!
//! Invariant: nothing here is on the way of a configuration. Tapes that cannot be kept, because a disk is full or a database away, cost
//! no commit and no stream of configurations anything.

pub mod blobs;
mod decode;
pub(crate) mod deletion;
pub mod index;
pub(crate) mod live;
pub(crate) mod query;
pub mod retention;
pub(crate) mod ship;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use self::blobs::Blobs;
use self::index::Index;
use self::live::Live;
use self::retention::Retention;
use self::ship::ingest::Ingest;
use self::ship::writer::{Jobs, writer};
use crate::observe::Metrics;
use crate::store::{Store, StoreError};
use crate::traffic::Traffic;

/// Bytes of segments and messages that all streams of a replica may have under way: 96 MiB, a dozen streams at full speed. Streams
/// beyond wait their turn.
const BYTES_UNDER_WAY: usize = 96 * 1024 * 1024;

/// Bytes of a fleet's key for tags of what is blotted out.
const REDACTION_KEY_BYTES: usize = 32;

/// What all streams and all operators share.
pub(crate) struct Tapes {
    pub(crate) ingest: Ingest,
    pub(crate) live: Live,
    /// What calls come to, which nodes tell on the same streams.
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) budget: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
    /// Wakes who forgets: something was deleted that is still in objects.
    pub(crate) deleted: Arc<Notify>,
    store: Arc<dyn Store>,
    /// Keys of fleets, which never change.
    keys: Mutex<BTreeMap<String, [u8; REDACTION_KEY_BYTES]>>,
}

impl Tapes {
    /// Tapes in these places, and what the writer's task is run with.
    pub(crate) fn new(
        blobs: Blobs,
        index: Arc<dyn Index>,
        store: Arc<dyn Store>,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> (Arc<Self>, Jobs) {
        let (writer, jobs) = writer();
        let tapes = Self {
            ingest: Ingest::new(blobs, index, writer, metrics),
            live: Live::default(),
            traffic: Arc::default(),
            budget: Arc::new(Semaphore::new(BYTES_UNDER_WAY)),
            stop,
            deleted: Arc::default(),
            store,
            keys: Mutex::default(),
        };
        (Arc::new(tapes), jobs)
    }

    /// The index.
    pub(crate) fn index(&self) -> &dyn Index {
        self.ingest.index.as_ref()
    }

    /// What forgets in these places, ready to run.
    pub(crate) fn retention(&self) -> Retention {
        let Ingest { blobs, index, metrics, .. } = &self.ingest;
        let retention = Retention::new(blobs.clone(), Arc::clone(index), Arc::clone(&self.store), Arc::new(query::now));
        retention.counted(metrics.clone())
    }

    /// The key for tags of what is blotted out in a fleet, made when it is first asked for.
    pub(crate) async fn redaction_key(&self, fleet: &str) -> Result<[u8; REDACTION_KEY_BYTES], StoreError> {
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(fleet).copied();
        if let Some(key) = known {
            return Ok(key);
        }
        let mut offered = [0; REDACTION_KEY_BYTES];
        getrandom::fill(&mut offered).map_err(|error| StoreError::Unavailable(format!("no random bytes: {error}")))?;
        let key = self.store.redaction_key(fleet, offered).await?;
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(fleet.to_owned(), key);
        Ok(key)
    }
}
