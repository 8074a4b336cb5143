//! What `up` and `reverse` have in common: a gateway of this one process, from its configuration to the end of its last call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::anyhow;
use shadowcat_config::{Config, DEFAULT_PATH, Node, SessionMode, Transport};
use shadowcat_proxy::{DEFAULT_BIND, Gateway, GatewayBuilder, stop_signal};
use shadowcat_session::RedisStore;

use super::Ended;

/// One route at [`DEFAULT_PATH`] to one upstream. On loopback a call needs no session, so that a bare `curl` works; what others can
/// reach asks for one, because the gateway would otherwise hold sessions for strangers.
pub(super) fn single(transport: Transport, bind: SocketAddr) -> Config {
    Config::single(transport, session_mode(bind))
}

/// Whether a call needs a session.
pub(super) fn session_mode(bind: SocketAddr) -> SessionMode {
    if bind.ip().is_loopback() { SessionMode::Optional } else { SessionMode::Required }
}

/// Builds a gateway and opens its socket.
pub(super) async fn open(builder: GatewayBuilder, node: &Node) -> anyhow::Result<Gateway> {
    let bind = node.bind.unwrap_or(DEFAULT_BIND);
    if !bind.ip().is_loopback() {
        tracing::warn!(%bind, "other machines can reach the gateway, and it authenticates nobody");
    }
    let mut builder = builder.bind(bind);
    if let Some(tls) = &node.tls {
        builder = builder.tls(tls.clone());
    }
    if let Some(redis) = &node.redis {
        let store = RedisStore::connect(redis.as_str(), builder.store_options()).await;
        builder = builder.session_store(Arc::new(store.map_err(|error| anyhow!("node.redis {redis}: {error}"))?));
    }
    Ok(builder.build().await?)
}

/// Serves until a signal, then drains.
pub(super) async fn serve(gateway: Gateway) -> Ended {
    if gateway.serve(stop_signal()).await { Ended::Whole } else { Ended::CallsCut }
}

/// Where a client on this machine finds the gateway's first route.
pub(super) fn url(gateway: &Gateway, node: &Node) -> anyhow::Result<String> {
    let scheme = if node.tls.is_some() { "https" } else { "http" };
    let mut address = gateway.local_addr()?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Ok(format!("{scheme}://{address}{DEFAULT_PATH}"))
}
