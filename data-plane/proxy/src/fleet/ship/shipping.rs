//! Dials again for as long as the gateway serves.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use shadowcat_proto::fleet::v1::fleet_client::FleetClient;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::super::dial::{ControlPlaneUrl, dial};
use super::super::ending::LineError;
use super::super::pause::{Node, Pauses};
use super::line::ShipLine;
use crate::gateway::Control;
use crate::record::Records;

/// The longest message: an offer with many blobs.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The task that ships.
pub(in super::super) struct Shipping {
    pub(in super::super) control_plane: ControlPlaneUrl,
    pub(in super::super) control: Control,
    /// How the node shows who it is; absent until it has been let in.
    pub(in super::super) identity: watch::Receiver<Option<Arc<ClientConfig>>>,
}

impl Shipping {
    /// Until the future is dropped.
    pub(in super::super) async fn run(mut self) {
        let Some(records) = self.control.shared.records.clone() else { return std::future::pending().await };
        let (mut pauses, mut told) = (Pauses::default(), String::new());
        loop {
            let Ok(identity) = self.identity.wait_for(Option::is_some).await.map(|identity| identity.clone()) else {
                return std::future::pending().await;
            };
            let Some(identity) = identity else { continue };
            let mut welcomed = None;
            let ended = self.once(&records, (*identity).clone(), &mut welcomed).await;
            records.disconnected();
            if pauses.ended(welcomed, &ended) {
                told.clear();
            }
            let Err(error) = ended else { continue };
            let text = error.to_string();
            if told == text {
                tracing::debug!(%error, "recorded traffic stays on this machine");
            } else {
                tracing::warn!(%error, "recorded traffic stays on this machine until the control plane takes it");
                told = text;
            }
            sleep(pause(&mut pauses, &error)).await;
        }
    }

    async fn once(
        &self,
        records: &Records,
        identity: ClientConfig,
        welcomed: &mut Option<Instant>,
    ) -> Result<(), LineError> {
        let channel = dial(&self.control_plane, identity).await?;
        let client = FleetClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let line = ShipLine { control: &self.control, records, welcomed };
        Box::pin(line.hold(client)).await
    }
}

/// Full jitter, as on the other line.
fn pause(pauses: &mut Pauses, error: &LineError) -> Duration {
    pauses.limit(error, Node::Serves).mul_f64(fastrand::f64())
}
