//! How long the recordings of a fleet are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use shadowcat_config::{Config, Digest, Retention};
use shadowcat_proto::config::v1 as raw;

use super::Unfinished;
use crate::store::{Store, StoreError, Version};

/// What recordings say, by their names. What is not in it has what a recording has that says nothing.
pub(super) type Policy = Arc<BTreeMap<String, Retention>>;

/// What came of the version with this digest, or of there being none: reading the largest takes seconds, and what nobody understands is
/// told once.
type Known = (Option<Digest>, Option<Policy>);

/// What the current version of each fleet says.
pub(super) struct Policies {
    store: Arc<dyn Store>,
    /// Of each fleet.
    known: Mutex<BTreeMap<String, Known>>,
}

impl Policies {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// What a fleet's current version says. `None` if nobody can know, which the log tells once: traffic is there and its
    /// configuration is not, because the database of versions was lost, or is of a later build.
    ///
    /// # Errors
    /// When the database does not answer, which says nothing about the fleet.
    pub(super) async fn of(&self, fleet: &str) -> Result<Option<Policy>, Unfinished> {
        let current = self.store.current(fleet).await?;
        let digest = current.as_ref().map(|current| current.digest);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(fleet).cloned();
        if let Some((_, policy)) = known.filter(|(of, _)| *of == digest) {
            return Ok(policy);
        }
        let policy = match current {
            Some(current) => self.read(fleet, &current).await?,
            None => Err("it has no version of one".to_owned()),
        };
        if let Err(why) = &policy {
            tracing::warn!(fleet, why, "nothing of this fleet is forgotten until its configuration is known");
        }
        let policy = policy.ok().map(Arc::new);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(fleet.to_owned(), (digest, policy.clone()));
        Ok(policy)
    }

    /// What a version says; why nobody can tell, if so.
    async fn read(
        &self,
        fleet: &str,
        version: &Version,
    ) -> Result<Result<BTreeMap<String, Retention>, String>, StoreError> {
        let Some(content) = self.store.content(fleet, version.number).await? else {
            return Ok(Err(format!("version {} has no content", version.number)));
        };
        let read = tokio::task::spawn_blocking(move || read(content)).await;
        Ok(read.unwrap_or_else(|stopped| Err(stopped.to_string())))
    }
}

/// It takes as long as the configuration is large: not for a runtime's thread.
fn read(content: Bytes) -> Result<BTreeMap<String, Retention>, String> {
    let raw = raw::Config::decode(content).map_err(|error| error.to_string())?;
    let config = Config::try_from(&raw).map_err(|diagnostics| diagnostics.to_string())?;
    let recordings = config.routes().iter().filter_map(|route| route.recording.as_ref());
    Ok(recordings.map(|recording| (recording.name.to_string(), recording.retention)).collect())
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::store;

    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Logged {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Logged {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[tokio::test]
    async fn that_a_configuration_is_not_known_is_told_once_for_each_fleet() {
        let logged = Logged::default();
        let subscriber = tracing_subscriber::fmt().with_writer(logged.clone()).with_ansi(false).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("test.db").display());
        let policies = Policies::new(store::open(&url).await.unwrap());
        for _ in 0..3 {
            for fleet in ["one", "other"] {
                assert_eq!(policies.of(fleet).await.unwrap(), None);
            }
        }
        let log = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
        let told: Vec<&str> = log.lines().filter(|line| line.contains("nothing of this fleet is forgotten")).collect();
        assert_eq!(told.len(), 2, "{log}");
        assert!(told[0].contains("it has no version of one") && told[0].contains("fleet=\"one\""), "{log}");
    }
}
