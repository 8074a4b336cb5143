//! Who a node is: read from its certificate, which TLS has verified.

use std::time::{Duration, SystemTime};

use shadowcat_config::is_name;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::BACKDATED;
use crate::store::Node;

const URI_PREFIX: &str = "spiffe://shadowcat/fleet/";
const URI_NODE: &str = "/node/";

/// By how much a node's first certificate may seem older than the note that it joined, after which it is made: certificates hold
/// whole seconds, and the clocks of replicas differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// A node, by its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Its fleet.
    pub fleet: String,
    /// Its name.
    pub node: String,
    /// When the certificate was made.
    pub issued_at: SystemTime,
    /// When it ends.
    pub expires_at: SystemTime,
}

/// Why a certificate is not that of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error("the certificate cannot be read")]
    Malformed,
    /// It names no node, or several.
    #[error("the certificate is not that of a node: join with a token")]
    NoNode,
}

impl NodeIdentity {
    /// Reads a certificate whose chain TLS has verified.
    ///
    /// # Errors
    /// If it is not that of a node.
    pub fn from_der(certificate: &[u8]) -> Result<Self, IdentityError> {
        let (rest, certificate) = parse_x509_certificate(certificate).map_err(|_| IdentityError::Malformed)?;
        if !rest.is_empty() {
            return Err(IdentityError::Malformed);
        }
        let (fleet, node) = names(&certificate).ok_or(IdentityError::NoNode)?;
        let validity = certificate.validity();
        let issued_at = SystemTime::from(validity.not_before.to_datetime()) + BACKDATED;
        Ok(Self { fleet, node, issued_at, expires_at: validity.not_after.to_datetime().into() })
    }

    /// True if this is the node that is kept: not removed since, and not one of the same name from before it joined again.
    #[must_use]
    pub fn is_of(&self, node: &Node) -> bool {
        self.fleet == node.fleet
            && self.node == node.name
            && !node.removed
            && self.issued_at + CLOCKS_DIFFER >= node.joined_at
    }
}

/// The name of a node in its certificate; `None` if the parts are no DNS labels.
pub(super) fn uri(fleet: &str, node: &str) -> Option<String> {
    (is_name(fleet) && is_name(node)).then(|| format!("{URI_PREFIX}{fleet}{URI_NODE}{node}"))
}

fn names(certificate: &X509Certificate<'_>) -> Option<(String, String)> {
    let alternatives = certificate.subject_alternative_name().ok()??;
    let [GeneralName::URI(uri)] = alternatives.value.general_names.as_slice() else { return None };
    let (fleet, node) = uri.strip_prefix(URI_PREFIX)?.split_once(URI_NODE)?;
    (is_name(fleet) && is_name(node)).then(|| (fleet.to_owned(), node.to_owned()))
}
