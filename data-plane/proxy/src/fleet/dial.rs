//! The way to the control plane: TCP and TLS, within one bound, to whoever has the fleet's authority behind its certificate.
//!
//! Invariant: it is always TLS, and the name that the certificate must have is [`SERVER_NAME`], never that of the URL: an address may
//! change, and whoever can answer at it is not thereby the control plane.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use shadowcat_config::{Digest, digest};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::identity::Identity;

/// What the control plane's certificate is for.
const SERVER_NAME: &str = "shadowcat-control-plane";

/// Where a control plane listens unless its URL says otherwise.
const DEFAULT_PORT: u16 = 7070;

/// For name look-up, TCP and TLS together: a healthy one takes milliseconds, and after this the next replica may answer.
const CONNECT: Duration = Duration::from_secs(5);

/// A line on which nothing comes is asked this often whether it is there; a proxy in between may have forgotten it.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// What has not answered after this is gone.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

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
pub(super) fn as_node(identity: &Identity) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    if let Some(authority) = identity.chain.last() {
        roots.add(authority.clone())?;
    }
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    // The authority's own certificate is known to whoever is asked.
    let leaf_and_between = identity.chain[..identity.chain.len().saturating_sub(1)].to_vec();
    let config =
        config.with_root_certificates(roots).with_client_auth_cert(leaf_and_between, identity.key.clone_key())?;
    Ok(speaking_http2(config))
}

/// Connects as a machine that knows nothing but the authority's fingerprint.
pub(super) fn as_stranger(authority: Digest) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let pinned = Arc::new(PinnedAuthority { authority, provider: provider() });
    Ok(speaking_http2(config.dangerous().with_custom_certificate_verifier(pinned).with_no_client_auth()))
}

fn speaking_http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A channel over one connection. It is never made anew: when it breaks, whoever uses it dials again.
pub(super) async fn dial(url: &ControlPlaneUrl, tls: ClientConfig) -> Result<Channel, DialError> {
    let socket = timeout(CONNECT, secure(url, tls)).await.map_err(|_| DialError::TimedOut(url.clone()))??;
    // The name is only what requests carry as `:authority`; where they go is decided.
    let endpoint = Endpoint::from_static("http://shadowcat-control-plane")
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok(endpoint.connect_with_connector(Once(Some(TokioIo::new(socket)))).await?)
}

async fn secure(url: &ControlPlaneUrl, tls: ClientConfig) -> Result<TlsStream<TcpStream>, DialError> {
    let reached = TcpStream::connect((&*url.host, url.port)).await;
    let tcp = reached.map_err(|error| DialError::Unreachable(url.clone(), error))?;
    let _ = tcp.set_nodelay(true);
    let name = ServerName::try_from(SERVER_NAME).map_err(|_| rustls::Error::General("server name".to_owned()))?;
    let secured = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await;
    secured.map_err(|error| match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_)) => DialError::Stranger(url.clone()),
        _ => DialError::Tls(url.clone(), error),
    })
}

/// Hands out the one connection there is.
struct Once(Option<TokioIo<TlsStream<TcpStream>>>);

impl tower_service::Service<Uri> for Once {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

/// Accepts exactly a chain that ends in the authority with this fingerprint, for [`SERVER_NAME`].
#[derive(Debug)]
struct PinnedAuthority {
    authority: Digest,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let authority = others.iter().find(|certificate| digest(certificate) == self.authority);
        let authority = authority.ok_or(CertificateError::UnknownIssuer)?.clone().into_owned();
        let mut roots = RootCertStore::empty();
        roots.add(authority)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build();
        let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(leaf, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
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
