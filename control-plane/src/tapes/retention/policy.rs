//! How long the recordings of a fleet are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use shadowcat_config::{Config, Digest, Retention};
use shadowcat_proto::config::v1 as raw;

use super::Unfinished;
use crate::store::Store;

/// What recordings say, by their names. What is not in it has what a recording has that says nothing.
pub(super) type Policy = Arc<BTreeMap<String, Retention>>;

/// What the current version of each fleet says.
pub(super) struct Policies {
    store: Arc<dyn Store>,
    /// Of the version with this digest: reading the largest takes seconds. There is one for each fleet.
    known: Mutex<BTreeMap<String, (Digest, Policy)>>,
}

impl Policies {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// What a fleet's current version says; nothing at all while it has none.
    ///
    /// # Errors
    /// When it cannot be read: a fleet that says nothing is told from one that nobody understands.
    pub(super) async fn of(&self, fleet: &str) -> Result<Policy, Unfinished> {
        let Some(current) = self.store.current(fleet).await? else { return Ok(Policy::default()) };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(fleet).cloned();
        if let Some((_, policy)) = known.filter(|(digest, _)| *digest == current.digest) {
            return Ok(policy);
        }
        let unread = |why: String| Unfinished::Policy(fleet.to_owned(), why);
        let content = self.store.content(fleet, current.number).await?;
        let content = content.ok_or_else(|| unread(format!("version {} has no content", current.number)))?;
        let read = tokio::task::spawn_blocking(move || read(content)).await;
        let policy = Arc::new(read.map_err(|stopped| unread(stopped.to_string()))?.map_err(unread)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(fleet.to_owned(), (current.digest, Arc::clone(&policy)));
        Ok(policy)
    }
}

/// It takes as long as the configuration is large: not for a runtime's thread.
fn read(content: Bytes) -> Result<BTreeMap<String, Retention>, String> {
    let raw = raw::Config::decode(content).map_err(|error| error.to_string())?;
    let config = Config::try_from(&raw).map_err(|diagnostics| diagnostics.to_string())?;
    let recordings = config.routes().iter().filter_map(|route| route.recording.as_ref());
    Ok(recordings.map(|recording| (recording.name.to_string(), recording.retention)).collect())
}
