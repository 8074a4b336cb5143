//! The way to the control plane: TCP and TLS, within one bound, to whoever has the fleet's authority behind its certificate.
//!
//! Invariant: it is always TLS, and the certificate must be the control plane's, never that of whatever the URL names.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::ClientConfig;
use shadowcat_net::{Fingerprint, TlsError, line, secure};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tonic::transport::Channel;

use super::identity::Identity;

/// Where a control plane listens unless its URL says otherwise.
const DEFAULT_PORT: u16 = 7070;

/// For name look-up, TCP and TLS together: a healthy one takes milliseconds, and after this the next replica may answer.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the control plane is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlaneUrl {
    host: String,
    port: u16,
}

/// Why a text is no [`ControlPlaneUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidControlPlaneUrl {
    /// It has another form.
    #[error("not the URL of a control plane: write https://host[:port]")]
    Form,
    /// It asks for plain text across a network.
    #[error("plain http is for this machine alone: write https://{0}")]
    Plain(String),
}

impl FromStr for ControlPlaneUrl {
    type Err = InvalidControlPlaneUrl;

    fn from_str(text: &str) -> Result<Self, InvalidControlPlaneUrl> {
        let uri: Uri = text.trim().parse().map_err(|_| InvalidControlPlaneUrl::Form)?;
        let authority = uri.authority().ok_or(InvalidControlPlaneUrl::Form)?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@');
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if !bare || host.is_empty() {
            return Err(InvalidControlPlaneUrl::Form);
        }
        let here = || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if here() => {}
            Some("http") => return Err(InvalidControlPlaneUrl::Plain(authority.to_string())),
            _ => return Err(InvalidControlPlaneUrl::Form),
        }
        Ok(Self { host, port: authority.port_u16().unwrap_or(DEFAULT_PORT) })
    }
}

impl fmt::Display for ControlPlaneUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "https://[{host}]:{port}") } else { write!(f, "https://{host}:{port}") }
    }
}

/// Why there is no line to the control plane.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody answers there.
    #[error("the control plane cannot be reached at {0}: {1}; check --control-plane")]
    Unreachable(ControlPlaneUrl, io::Error),
    /// Somebody answers too slowly.
    #[error("the control plane did not answer at {0} within {CONNECT:?}; check --control-plane")]
    TimedOut(ControlPlaneUrl),
    /// Whoever answers is not the fleet's control plane.
    #[error(
        "what answers at {0} is not this fleet's control plane: its certificate comes from another authority; \
         check --control-plane, and that the join token is this control plane's"
    )]
    Stranger(ControlPlaneUrl),
    /// TLS did not come about for another reason.
    #[error("no secure connection to the control plane at {0}: {1}; check that the URL is its gRPC port")]
    Tls(ControlPlaneUrl, io::Error),
    /// What we would show or check cannot be used.
    #[error("the node's certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// HTTP/2 did not come about.
    #[error("no HTTP/2 with the control plane: {0}")]
    Http2(#[from] tonic::transport::Error),
}

/// Connects as a node that has an identity.
pub(super) fn as_node(identity: &Identity) -> Result<ClientConfig, DialError> {
    Ok(shadowcat_net::as_node(&identity.chain, identity.key.clone_key())?)
}

/// Connects as a machine that knows nothing but the authority's fingerprint.
pub(super) fn as_stranger(authority: Fingerprint) -> Result<ClientConfig, DialError> {
    Ok(shadowcat_net::as_stranger(authority)?)
}

/// A channel over one connection. It is never made anew: when it breaks, whoever uses it dials again.
pub(super) async fn dial(url: &ControlPlaneUrl, tls: ClientConfig) -> Result<Channel, DialError> {
    let connection = timeout(CONNECT, connect(url, tls)).await.map_err(|_| DialError::TimedOut(url.clone()))??;
    Ok(line(connection).await?)
}

async fn connect(url: &ControlPlaneUrl, tls: ClientConfig) -> Result<TlsStream<TcpStream>, DialError> {
    let reached = TcpStream::connect((&*url.host, url.port)).await;
    let tcp = reached.map_err(|error| DialError::Unreachable(url.clone(), error))?;
    let _ = tcp.set_nodelay(true);
    secure(tcp, Arc::new(tls)).await.map_err(|error| match error {
        TlsError::Stranger(_) => DialError::Stranger(url.clone()),
        TlsError::Handshake(error) => DialError::Tls(url.clone(), error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_nothing_more() {
        for (text, shown) in [
            ("https://cp.example.com", "https://cp.example.com:7070"),
            ("https://cp.example.com:443/", "https://cp.example.com:443"),
            ("http://127.0.0.1:7070", "https://127.0.0.1:7070"),
            ("http://localhost", "https://localhost:7070"),
            ("https://[2001:db8::1]:1", "https://[2001:db8::1]:1"),
        ] {
            assert_eq!(text.parse::<ControlPlaneUrl>().unwrap().to_string(), shown);
        }
        for text in
            ["", "cp.example.com:7070", "https://", "https://h/path", "https://u:p@h", "grpc://h", "https://h?x"]
        {
            assert_eq!(text.parse::<ControlPlaneUrl>(), Err(InvalidControlPlaneUrl::Form), "{text:?}");
        }
    }

    #[test]
    fn plain_text_never_leaves_the_machine() {
        let told = "http://cp.example.com:7070".parse::<ControlPlaneUrl>().unwrap_err().to_string();
        assert_eq!(told, "plain http is for this machine alone: write https://cp.example.com:7070");
        assert!("http://localhost.evil.example".parse::<ControlPlaneUrl>().is_err());
    }
}
