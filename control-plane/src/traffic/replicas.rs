//! What replicas tell each other: each writes what its own nodes came to, in all windows, and reads that of the others when somebody asks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prost::Message as _;
use shadowcat_proto::admin::v1::traffic_request::Window;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::sums::Sums;
use super::{Traffic, WINDOWS};
use crate::store::{SharedTraffic, Store, StoreError};

/// How often what nodes came to is written, which is as often as they say it.
const SHARE_EVERY: Duration = Duration::from_secs(5);

/// What was not written anew for this long is of a replica that has gone; its nodes speak elsewhere by then, or are gone too. Replicas'
/// clocks may differ by some seconds.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// Kinds of calls that are told apart in what is written: a window of so many takes some 100 KiB.
const KINDS_MAX: usize = 1_024;

/// What a replica writes of a fleet.
#[derive(Clone, PartialEq, prost::Message)]
struct Shared {
    /// In the order of [`WINDOWS`].
    #[prost(message, repeated, tag = "1")]
    windows: Vec<Sums>,
}

/// Tells the other replicas until `stop`. While the database is away, nothing is told.
pub(crate) async fn share(traffic: Arc<Traffic>, store: Arc<dyn Store>, stop: CancellationToken) {
    let mut round = interval(SHARE_EVERY);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(round.tick()).await.is_some() {
        let counted = Arc::clone(&traffic);
        let Ok(shared) = tokio::task::spawn_blocking(move || counted.shared()).await else { continue };
        if let Some(Err(error)) = stop.run_until_cancelled(store.share_traffic(&shared)).await {
            tracing::debug!(%error, "other replicas are not told what calls come to");
        }
    }
}

impl Traffic {
    /// What is written of each fleet whose nodes speak here.
    fn shared(&self) -> Vec<SharedTraffic> {
        let mut all = Vec::new();
        for fleet in self.fleets() {
            let mut windows = WINDOWS.map(|window| self.sums(&fleet, window));
            if windows.iter().all(|sums| sums.nodes.is_empty()) {
                continue;
            }
            windows.iter_mut().for_each(|sums| sums.shorten(KINDS_MAX));
            let sums = Shared { windows: windows.into() }.encode_to_vec().into();
            all.push(SharedTraffic { fleet, replica: self.replica.clone(), at: SystemTime::now(), sums });
        }
        all
    }

    /// What a window of a fleet came to at the other replicas.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn of_others(
        &self,
        store: &dyn Store,
        fleet: &str,
        window: Window,
    ) -> Result<Vec<Sums>, StoreError> {
        let now = SystemTime::now();
        let others = store.shared_traffic(fleet).await?.into_iter().filter(|shared| {
            let age = now.duration_since(shared.at).unwrap_or_default();
            shared.replica != self.replica && age <= HEARD_WITHIN
        });
        let place = WINDOWS.iter().position(|known| *known == window).unwrap_or(0);
        // One of another build may write what cannot be read here.
        let read = |shared: SharedTraffic| Shared::decode(shared.sums).ok()?.windows.into_iter().nth(place);
        Ok(others.filter_map(read).collect())
    }
}
