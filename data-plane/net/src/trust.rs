//! TLS with a control plane: its certificate must come from the fleet's own authority, and be for [`CONTROL_PLANE`].
//!
//! Invariant: no public authority is believed, and the name is never that of a URL: an address may change, and whoever can answer at
//! it is not thereby the control plane.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Fingerprint;

/// The DNS name in every control plane's certificate.
pub const CONTROL_PLANE: &str = "shadowcat-control-plane";

/// HTTP/2, which gRPC is.
const ALPN_H2: &[u8] = b"h2";

/// Why there is no TLS with whoever answers.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It is not the control plane: its certificate comes from somebody else, is for something else, or is out of date.
    #[error("{0}")]
    Stranger(String),
    /// The handshake failed otherwise.
    #[error(transparent)]
    Handshake(#[from] io::Error),
}

/// The certificate comes from somebody else.
#[derive(Debug, thiserror::Error)]
#[error("the server's authority is {}, not {expected}", shown.map_or_else(|| "none".to_owned(), |shown| shown.to_string()))]
struct OtherAuthority {
    expected: Fingerprint,
    /// What the server sent, if anything.
    shown: Option<Fingerprint>,
}

/// TLS of whoever knows nothing but the authority's fingerprint: accepts a chain that the server sends with its authority.
///
/// # Errors
/// If the provider knows no version of TLS that is safe.
pub fn as_stranger(authority: Fingerprint) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let pinned = Arc::new(PinnedAuthority { authority, provider });
    Ok(speaking_http2(config.dangerous().with_custom_certificate_verifier(pinned).with_no_client_auth()))
}

/// TLS of a node. `chain` is the node's certificate first and its authority's last.
///
/// # Errors
/// If chain and key do not go together.
pub fn as_node(chain: &[CertificateDer<'static>], key: PrivateKeyDer<'static>) -> Result<ClientConfig, Error> {
    let (authority, own) = chain.split_last().ok_or(Error::NoCertificatesPresented)?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_root_certificates(roots);
    // The authority's own certificate is known to whoever is asked.
    Ok(speaking_http2(config.with_client_auth_cert(own.to_vec(), key)?))
}

/// The TLS handshake with a control plane. It has no deadline of its own.
///
/// # Errors
/// If whoever answers is not the control plane, or speaks no TLS.
pub async fn secure(tcp: TcpStream, tls: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, TlsError> {
    let name = ServerName::try_from(CONTROL_PLANE).map_err(io::Error::other)?;
    TlsConnector::from(tls).connect(name, tcp).await.map_err(|error| {
        match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(Error::InvalidCertificate(CertificateError::Other(other))) => TlsError::Stranger(other.0.to_string()),
            Some(Error::InvalidCertificate(why)) => TlsError::Stranger(why.to_string()),
            _ => TlsError::Handshake(error),
        }
    })
}

fn speaking_http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config
}

/// Accepts exactly a chain that ends in the authority with this fingerprint, for the name that is asked for.
#[derive(Debug)]
struct PinnedAuthority {
    authority: Fingerprint,
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
    ) -> Result<ServerCertVerified, Error> {
        let authority = others.iter().find(|sent| Fingerprint::of(sent) == self.authority).ok_or_else(|| {
            let shown = others.last().map(|sent| Fingerprint::of(sent));
            let other = OtherAuthority { expected: self.authority, shown };
            CertificateError::Other(OtherError(Arc::new(other)))
        })?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build();
        let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(leaf, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::ServerConfig;
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    struct Authority {
        certificate: CertificateDer<'static>,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).unwrap().der().clone();
            Self { certificate, issuer: Issuer::new(params, key) }
        }

        /// A certificate for `name` and the authority's own.
        fn chain(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
            let key = KeyPair::generate().unwrap();
            let leaf = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
            let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
            (vec![leaf.der().clone(), self.certificate.clone()], key)
        }
    }

    /// What somebody who trusts `expected` makes of a server that has this chain.
    async fn meets(
        (chain, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
        expected: Fingerprint,
    ) -> String {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let serving = async {
            let (socket, _) = listener.accept().await.unwrap();
            drop(TlsAcceptor::from(Arc::new(config)).accept(socket).await);
        };
        let (met, ()) = tokio::join!(secure(tcp, Arc::new(as_stranger(expected).unwrap())), serving);
        match met {
            Ok(_) => "trusted".to_owned(),
            Err(TlsError::Stranger(why)) => why,
            Err(TlsError::Handshake(error)) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn only_the_control_plane_of_the_expected_authority_is_trusted() {
        let (ours, theirs) = (Authority::new(), Authority::new());
        let [our, their] = [&ours, &theirs].map(|authority| Fingerprint::of(&authority.certificate));
        assert_eq!(meets(ours.chain(CONTROL_PLANE), our).await, "trusted");
        let refusal = format!("the server's authority is {their}, not {our}");
        assert_eq!(meets(theirs.chain(CONTROL_PLANE), our).await, refusal);
        assert!(meets(ours.chain("edge-1"), our).await.contains("not valid for name"));

        let (mut without, key) = ours.chain(CONTROL_PLANE);
        without.pop();
        let refusal = meets((without, key), our).await;
        assert_eq!(refusal, format!("the server's authority is none, not {our}"));

        // Sending along the right authority does not make a chain its own.
        let (mut forged, key) = theirs.chain(CONTROL_PLANE);
        forged.push(ours.certificate.clone());
        assert_ne!(meets((forged, key), our).await, "trusted");
    }
}
