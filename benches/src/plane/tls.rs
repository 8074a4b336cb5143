//! The way of a simulated node to its control plane, which is that of real nodes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shadowcat_net::{line, secure};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::Channel;

/// For TCP, TLS and HTTP/2 together, as real nodes have it.
const CONNECT: Duration = Duration::from_secs(5);

/// Shows a node's certificate; the authority is the last of its chain.
pub(super) fn as_node(
    chain: &[CertificateDer<'static>],
    key: PrivateKeyDer<'static>,
) -> anyhow::Result<Arc<ClientConfig>> {
    let mut config = shadowcat_net::as_node(chain, key)?;
    // Every line pays for its whole handshake, as that of a node does.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Shows nothing, and trusts the authority that a join token names.
pub(super) fn as_stranger(token: &str) -> anyhow::Result<Arc<ClientConfig>> {
    let (_, authority) = token.split_once('.').context("a join token has two parts")?;
    Ok(Arc::new(shadowcat_net::as_stranger(authority.parse()?)?))
}

/// A channel over one connection, which is never made anew.
pub(super) async fn dial(address: SocketAddr, tls: Arc<ClientConfig>) -> anyhow::Result<Channel> {
    let connected = async {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        anyhow::Ok(line(secure(tcp, tls).await?).await?)
    };
    timeout(CONNECT, connected).await.with_context(|| format!("no connection within {CONNECT:?}"))?
}
