//! Whom a test client trusts over TLS: nobody, or the one server whose certificate it was given.

use std::path::Path;
use std::sync::Arc;

use http::Version;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// For a client that speaks without TLS.
pub(super) fn nobody() -> Connector {
    HttpsConnectorBuilder::new()
        .with_tls_config(trusting(RootCertStore::empty()))
        .https_or_http()
        .enable_http1()
        .build()
}

/// Trusts the certificate in the file `certificate`, and offers `versions` of HTTP (ALPN). Refuses to speak without TLS.
pub(super) fn only(certificate: &Path, versions: &[Version]) -> Connector {
    let certificate = CertificateDer::from_pem_file(certificate).expect("the fleet wrote a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate can be trusted");
    let builder = HttpsConnectorBuilder::new().with_tls_config(trusting(roots)).https_only();
    match versions {
        [Version::HTTP_11] => builder.enable_http1().build(),
        [Version::HTTP_2] => builder.enable_http2().build(),
        _ => builder.enable_http1().enable_http2().build(),
    }
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
