//! TLS as the gRPC listener speaks it.

use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};

use super::{Authority, AuthorityError, ServerIdentity};

/// Everybody who connects is ours and speaks HTTP/2.
const ALPN: &[u8] = b"h2";

impl Authority {
    /// TLS 1.3 for the gRPC listener. Whoever shows a certificate shows one of ours; who has none yet may join.
    ///
    /// Nothing is resumed: a certificate is looked at on every connection, so that one that has ended is noticed.
    ///
    /// # Errors
    /// If the identity is not one that TLS can use.
    pub fn server_config(&self, identity: ServerIdentity) -> Result<Arc<ServerConfig>, AuthorityError> {
        let crypto = |error: &dyn std::fmt::Display| AuthorityError::Crypto(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate().clone()).map_err(|error| crypto(&error))?;
        let nodes = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| crypto(&error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| crypto(&error))?
            .with_client_cert_verifier(nodes)
            .with_single_cert(identity.chain, identity.key)
            .map_err(|error| crypto(&error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}
