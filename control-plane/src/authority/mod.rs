//! The certificate authority of a control plane: what makes nodes and control planes known to each other.
//!
//! It is made with the database and lives there, so that all replicas sign alike. Nodes know it by the digest of its certificate,
//! which is part of every join token.
//!
//! Invariants:
//! - A certificate says what the caller of [`Authority::sign`] says; of a signing request only the key is taken.
//! - No node can pass for a control plane: only [`Authority::server_identity`] writes DNS names.

mod identity;
mod request;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use shadowcat_net::{CONTROL_PLANE, Fingerprint};
use time::OffsetDateTime;
use x509_parser::parse_x509_certificate;

pub use self::identity::{IdentityError, NodeIdentity};
pub use self::request::{MAX_REQUEST_BYTES, RequestError};
use crate::store::{AuthorityRow, Store, StoreError};

/// How long the authority is good for. To replace it, every node has to join again.
pub const AUTHORITY_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// How long a node's certificate is good for: a node that was away for a week joins again.
pub const NODE_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// What every certificate is older than it is, for clocks that are behind.
pub const BACKDATED: Duration = Duration::from_mins(5);

/// RFC 5280, 4.1.2.2: at most 20 bytes; random, so that none comes twice although replicas do not ask each other.
const SERIAL_BYTES: usize = 16;

/// The certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    fingerprint: Fingerprint,
    expires_at: SystemTime,
}

/// A node's certificate.
#[derive(Debug, Clone)]
pub struct NodeCertificate {
    /// DER, leaf first, and the authority's last.
    pub chain: Vec<Vec<u8>>,
    /// When it ends.
    pub expires_at: SystemTime,
}

/// A certificate of a control plane, with its key.
pub struct ServerIdentity {
    /// Leaf first, and the authority's last.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's.
    pub key: PrivateKeyDer<'static>,
}

/// Why there is no authority, or it does not sign.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The database has none to give.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the database holds is none.
    #[error("the certificate authority in the database is damaged: {0}: restore the database from a backup")]
    Damaged(String),
    /// The cryptography failed.
    #[error("no certificate could be made: {0}")]
    Crypto(String),
}

impl Authority {
    /// The authority that the store keeps; makes it if there is none.
    ///
    /// # Errors
    /// If the store does not answer, or what it keeps cannot be read.
    pub async fn open(store: &dyn Store) -> Result<Self, AuthorityError> {
        let offered = make(store.epoch()).map_err(|error| crypto(&error))?;
        Self::read(&store.authority(offered).await?)
    }

    fn read(row: &AuthorityRow) -> Result<Self, AuthorityError> {
        let damaged = |error: &dyn fmt::Display| AuthorityError::Damaged(error.to_string());
        let certificate = CertificateDer::from(row.certificate.clone());
        let der = PrivatePkcs8KeyDer::from(row.key.as_slice());
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256).map_err(|error| damaged(&error))?;
        let (_, parsed) = parse_x509_certificate(&row.certificate).map_err(|error| damaged(&error))?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(damaged(&"its key is not the one of its certificate"));
        }
        let expires_at = parsed.validity().not_after.to_datetime().into();
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| damaged(&error))?;
        Ok(Self { issuer, fingerprint: Fingerprint::of(&certificate), certificate, expires_at })
    }

    /// SHA-256 over the certificate's DER: what join tokens carry.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Whether a PKCS #10 request would be signed: what is asked before a use of a join token is taken.
    ///
    /// # Errors
    /// If the request is none, or its key is weak.
    pub fn check(&self, request: &[u8]) -> Result<(), RequestError> {
        request::public_key(request).map(drop)
    }

    /// Signs the key of a PKCS #10 request as that of a node.
    ///
    /// # Errors
    /// If the request is none, its key is weak, or the names are no DNS labels.
    pub fn sign(&self, request: &[u8], fleet: &str, node: &str) -> Result<NodeCertificate, RequestError> {
        let key = request::public_key(request)?;
        let name = identity::uri(fleet, node).ok_or(RequestError::Name)?;
        let sign = || {
            let mut params = self.params(node, NODE_LIFETIME)?;
            params.subject_alt_names.push(SanType::URI(name.try_into()?));
            // Nodes also serve each other.
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
            let expires_at = params.not_after.into();
            let leaf = params.signed_by(&key, &self.issuer)?;
            Ok(NodeCertificate { chain: vec![leaf.der().to_vec(), self.certificate.to_vec()], expires_at })
        };
        sign().map_err(|error: rcgen::Error| RequestError::Crypto(error.to_string()))
    }

    /// A certificate for the gRPC listener, with a new key. It lasts as long as the authority: the key is never written down, and
    /// ends with the process. `names` are host names and addresses, beside the ones that every control plane has.
    ///
    /// # Errors
    /// If a name is neither a host name nor an address.
    pub fn server_identity(&self, names: &[String]) -> Result<ServerIdentity, AuthorityError> {
        let left = self.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
        let make = || {
            let key = KeyPair::generate()?;
            let mut params = self.params(CONTROL_PLANE, left)?;
            params.subject_alt_names = server_names(names)?;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let leaf = params.signed_by(&key, &self.issuer)?;
            Ok(ServerIdentity {
                chain: vec![leaf.der().clone(), self.certificate.clone()],
                key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            })
        };
        make().map_err(|error| crypto(&error))
    }

    /// What all leaves have in common.
    fn params(&self, name: &str, lifetime: Duration) -> Result<CertificateParams, rcgen::Error> {
        let mut params = valid_for(name, lifetime)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity").finish_non_exhaustive()
    }
}

/// A new authority. The name tells two of them apart: a node that meets the wrong one hears of an unknown issuer, and not of a
/// bad signature.
fn make(epoch: &str) -> Result<AuthorityRow, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = valid_for(&format!("shadowcat {epoch}"), AUTHORITY_LIFETIME)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    Ok(AuthorityRow { certificate: certificate.der().to_vec(), key: key.serialize_der() })
}

fn valid_for(name: &str, lifetime: Duration) -> Result<CertificateParams, rcgen::Error> {
    let now = OffsetDateTime::from(SystemTime::now());
    let mut serial = [0; SERIAL_BYTES];
    getrandom::fill(&mut serial).map_err(|_| rcgen::Error::RingUnspecified)?;
    // Positive, and not zero: RFC 5280, 4.1.2.2.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now - BACKDATED;
    params.not_after = now + lifetime;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn server_names(names: &[String]) -> Result<Vec<SanType>, rcgen::Error> {
    let mut all = Vec::from([
        SanType::DnsName(CONTROL_PLANE.try_into()?),
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
        SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
    ]);
    for name in names {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        };
        if !all.contains(&name) {
            all.push(name);
        }
    }
    Ok(all)
}

fn crypto(error: &rcgen::Error) -> AuthorityError {
    AuthorityError::Crypto(error.to_string())
}
