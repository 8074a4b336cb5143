//! The way of a simulated node to its control plane: TCP and TLS 1.3, then HTTP/2 with the keepalive that real nodes
//! have.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use shadowcat_config::{Digest, digest};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

/// The name in every control plane's certificate.
const SERVER_NAME: &str = "shadowcat-control-plane";

/// For TCP, TLS and HTTP/2 together, as real nodes have it.
const CONNECT: Duration = Duration::from_secs(5);

/// As real nodes have it.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// As real nodes have it.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Shows a node's certificate; the authority is the last of its chain.
pub(super) fn as_node(
    chain: &[CertificateDer<'static>],
    key: PrivateKeyDer<'static>,
) -> anyhow::Result<Arc<ClientConfig>> {
    let (authority, own) = chain.split_last().context("a chain without certificates")?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(speaking_http2(config.with_root_certificates(roots).with_client_auth_cert(own.to_vec(), key)?))
}

/// Shows nothing, and trusts the authority that a join token names.
pub(super) fn as_stranger(token: &str) -> anyhow::Result<Arc<ClientConfig>> {
    let (_, fingerprint) = token.split_once('.').context("a join token has two parts")?;
    let pinned = PinnedAuthority { authority: fingerprint.parse()?, provider: provider() };
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(speaking_http2(config.dangerous().with_custom_certificate_verifier(Arc::new(pinned)).with_no_client_auth()))
}

fn speaking_http2(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Every line pays for its whole handshake, as that of a node does.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A channel over one connection, which is never made anew.
pub(super) async fn dial(address: SocketAddr, tls: Arc<ClientConfig>) -> anyhow::Result<Channel> {
    let connected = async {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let secured = TlsConnector::from(tls).connect(ServerName::try_from(SERVER_NAME)?, tcp).await?;
        let endpoint = Endpoint::from_static("http://shadowcat-control-plane")
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        anyhow::Ok(endpoint.connect_with_connector(Once(Some(TokioIo::new(secured)))).await?)
    };
    tokio::time::timeout(CONNECT, connected).await.with_context(|| format!("no connection within {CONNECT:?}"))?
}

/// Hands out the one connection there is.
struct Once(Option<TokioIo<TlsStream<TcpStream>>>);

impl tower_service::Service<Uri> for Once {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

/// Accepts a chain that has the authority with this fingerprint, for [`SERVER_NAME`].
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
