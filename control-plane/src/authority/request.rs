//! Signing requests: PKCS #10 (RFC 2986), from whoever holds a join token.
//!
//! Only the key is taken, once the request proves that its sender holds it. What else it asks for is not looked at.

use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_SIG_ED25519};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// A request with a P-256 key has 300 bytes; whoever adds names that are not looked at has room for them.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024;

/// Why a request was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is too large to be looked at.
    #[error("the signing request has {0} bytes: at most {MAX_REQUEST_BYTES} are read")]
    TooLarge(usize),
    /// It is none.
    #[error("the signing request is not PKCS #10 in DER")]
    Malformed,
    /// Its key is of a kind that is not signed.
    #[error("the signing request has {0}: use ECDSA P-256 (P-384 and Ed25519 are taken too)")]
    Key(String),
    /// Its sender does not hold the key.
    #[error("the signature of the signing request is not that of its key")]
    Signature,
    /// The node or the fleet has no name that could stand in a certificate.
    #[error(
        "the names of a fleet and of a node are DNS labels: lower-case letters, digits and inner hyphens, at most 63"
    )]
    Name,
    /// The cryptography failed.
    #[error("no certificate could be made: {0}")]
    Crypto(String),
}

/// The key of a request, proven.
pub(super) fn public_key(request: &[u8]) -> Result<SubjectPublicKeyInfo, RequestError> {
    if request.len() > MAX_REQUEST_BYTES {
        return Err(RequestError::TooLarge(request.len()));
    }
    let (rest, request) = X509CertificationRequest::from_der(request).map_err(|_| RequestError::Malformed)?;
    if !rest.is_empty() {
        return Err(RequestError::Malformed);
    }
    let key = &request.certification_request_info.subject_pki;
    // Before the signature, which a weak key does not even get to.
    if let Some(kind) = refused_kind(key) {
        return Err(RequestError::Key(kind));
    }
    request.verify_signature().map_err(|_| RequestError::Signature)?;
    SubjectPublicKeyInfo::from_der(key.raw).map_err(|_| RequestError::Malformed)
}

/// What a key is, if it is not one of those that are signed.
fn refused_kind(key: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> Option<String> {
    if key.algorithm.algorithm == OID_SIG_ED25519 {
        return None;
    }
    if key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let taken = curve.is_some_and(|curve| curve == OID_EC_P256 || curve == OID_NIST_EC_P384);
        return (!taken).then(|| "an elliptic key on another curve".to_owned());
    }
    Some(match key.parsed() {
        Ok(PublicKey::RSA(key)) => format!("an RSA key of {} bits", key.key_size()),
        _ => "a key of another kind".to_owned(),
    })
}
