//! How a simulated node becomes one of the fleet, as real nodes do.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shadowcat_proto::fleet::v1::JoinRequest;
use shadowcat_proto::fleet::v1::fleet_client::FleetClient;
use tonic::transport::Channel;

use super::tls::{as_node, as_stranger, dial};

/// A node that has joined: what it shows to the control plane, and where that is.
#[derive(Clone)]
pub(crate) struct Member {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Member {
    /// Trades a join token for a certificate.
    pub(crate) async fn join(address: SocketAddr, token: &str, node: String) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let signing_request = CertificateParams::default().serialize_request(&key)?.der().to_vec().into();
        let request = JoinRequest { token: token.to_owned(), signing_request, node };
        let channel = dial(address, as_stranger(token)?).await?;
        let joined = FleetClient::new(channel).join(request).await?.into_inner();
        let chain: Vec<_> = joined.chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        Ok(Self { address, tls: as_node(&chain, key)? })
    }

    /// A new connection.
    pub(crate) async fn dial(&self) -> anyhow::Result<FleetClient<Channel>> {
        Ok(FleetClient::new(dial(self.address, Arc::clone(&self.tls)).await?))
    }
}
