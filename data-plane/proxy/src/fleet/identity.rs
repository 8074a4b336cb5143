//! Who a node is to its control plane: a key that never leaves the machine, and a certificate that says which node of which fleet
//! holds it.
//!
//! Both are in one file, `<data-dir>/identity/node.pem`, so that no crash can part them. Not here: when to join or to renew, which is
//! the [member](super::member)'s.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shadowcat_net::Fingerprint;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use super::disk::{Durability, create_private, write_private};

/// What a node's certificate names it by.
const NAME_PREFIX: &str = "spiffe://shadowcat/fleet/";

/// A certificate is renewed at this age, give or take [`RENEWAL_JITTER`]: of its seven days six are left to find the control plane.
const RENEWAL_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// As a share of [`RENEWAL_AGE`]: a fleet that joined in one minute does not renew in one.
const RENEWAL_JITTER: f64 = 0.2;

/// 256 bits in base64url.
const SECRET_CHARS: usize = 43;

/// Why a node has no identity that it could use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error(
        "cannot use {}: {reason}; make room there and let this user write, or give another directory with --data-dir",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The file holds something else.
    #[error("{} is not a node's identity: {reason}; remove it and join again with --join-token", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What the control plane issued is not a certificate for a node.
    #[error("the control plane issued a certificate that is none for this node: {0}")]
    Issued(String),
    /// The key could not be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
}

/// Lets a node into a fleet: a secret, and the fingerprint of the authority that it may be shown to.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    text: String,
    authority: Fingerprint,
}

/// Why a text is no [`JoinToken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a join token: it has 43 characters, a dot and 64 hexadecimal digits; make one with shadowcatctl nodes token"
)]
pub struct InvalidJoinToken;

impl FromStr for JoinToken {
    type Err = InvalidJoinToken;

    fn from_str(text: &str) -> Result<Self, InvalidJoinToken> {
        let text = text.trim();
        let (secret, fingerprint) = text.split_once('.').ok_or(InvalidJoinToken)?;
        let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if secret.len() != SECRET_CHARS || !secret.bytes().all(base64url) {
            return Err(InvalidJoinToken);
        }
        let authority = fingerprint.parse().map_err(|_| InvalidJoinToken)?;
        Ok(Self { text: text.to_owned(), authority })
    }
}

impl JoinToken {
    /// The whole text, for the control plane that it may be shown to.
    pub(crate) fn reveal(&self) -> &str {
        &self.text
    }

    pub(crate) const fn authority(&self) -> Fingerprint {
        self.authority
    }
}

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinToken").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// A key whose certificate is not there yet.
pub(crate) struct Request {
    key: KeyPair,
    /// PKCS #10, DER.
    pub(crate) der: Vec<u8>,
}

impl Request {
    /// A new key (ECDSA P-256), and the request to have it certified.
    pub(crate) fn new() -> Result<Self, IdentityError> {
        let key = KeyPair::generate()?;
        let der = CertificateParams::default().serialize_request(&key)?.der().to_vec();
        Ok(Self { key, der })
    }

    /// The identity, once the control plane has issued `chain` for it.
    pub(crate) fn issued(self, chain: Vec<Vec<u8>>) -> Result<Identity, IdentityError> {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::try_from(self.key.serialize_der())
            .map_err(|reason| IdentityError::Issued(reason.to_owned()))?;
        Identity::new(key, chain).map_err(IdentityError::Issued)
    }
}

/// A key and its certificate.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) key: PrivateKeyDer<'static>,
    /// Leaf first, the authority last.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) fleet: String,
    pub(crate) node: String,
    issued: SystemTime,
    expires: SystemTime,
}

impl Identity {
    fn new(key: PrivateKeyDer<'static>, chain: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let leaf = chain.first().ok_or("there is no certificate")?;
        if chain.len() < 2 {
            return Err("the authority's certificate is missing".to_owned());
        }
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
        let (fleet, node) = named(&parsed).ok_or("its certificate names no node")?;
        let at = |time: x509_parser::time::ASN1Time| {
            UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or_default())
        };
        let (issued, expires) = (at(parsed.validity().not_before), at(parsed.validity().not_after));
        Ok(Self { key, chain, fleet, node, issued, expires })
    }

    /// What an earlier start left in `<data_dir>/identity`.
    pub(crate) fn load(data_dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = file(data_dir);
        let pem = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(reason) => return Err(IdentityError::Io { path, reason }),
            Ok(pem) => pem,
        };
        let read = || {
            let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| error.to_string())?;
            let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>();
            Self::new(key, chain.map_err(|error: rustls_pki_types::pem::Error| error.to_string())?)
        };
        read().map(Some).map_err(|reason| IdentityError::Unusable { path, reason })
    }

    /// Keeps it for later starts, for this user only. What the disk does not take is used all the same: to ask for another would
    /// spend the join token and leave a node behind that nobody is. The next renewal tries again.
    pub(crate) async fn keep(&self, data_dir: &Path) {
        let (path, directory, pem) = (file(data_dir), data_dir.to_owned(), self.to_pem());
        // Away from the threads that serve calls.
        let kept = tokio::task::spawn_blocking(move || store(&directory, &pem)).await;
        if let Err(reason) = kept.unwrap_or_else(|error| Err(io::Error::other(error))) {
            let error = IdentityError::Io { path, reason };
            tracing::warn!(%error, "the new identity is in use and not kept: until a renewal is kept, a node that starts again \
                has the one before it, or must join again with --join-token");
        }
    }

    fn to_pem(&self) -> String {
        let key = pem("PRIVATE KEY", self.key.secret_der());
        self.chain.iter().fold(key, |text, certificate| text + &pem("CERTIFICATE", certificate))
    }

    pub(crate) fn authority(&self) -> Fingerprint {
        self.chain.last().map_or_else(|| Fingerprint::of(&[]), |authority| Fingerprint::of(authority))
    }

    /// True if nobody accepts it any more.
    pub(crate) fn has_expired(&self) -> bool {
        SystemTime::now() >= self.expires
    }

    /// How long until it is to be renewed; another answer each time, since nodes must not agree on it.
    pub(crate) fn renewal_in(&self) -> Duration {
        let spread = 1.0 + RENEWAL_JITTER * (2.0 * fastrand::f64() - 1.0);
        let age = SystemTime::now().duration_since(self.issued).unwrap_or_default();
        RENEWAL_AGE.mul_f64(spread).saturating_sub(age)
    }
}

/// Writes the file, whole or not at all.
fn store(data_dir: &Path, pem: &str) -> io::Result<()> {
    let directory = data_dir.join("identity");
    create_private(&directory)?;
    let temporary = directory.join("node.pem.tmp");
    write_private(&temporary, pem.as_bytes(), Durability::Synced)?;
    fs::rename(&temporary, file(data_dir))?;
    fs::File::open(&directory)?.sync_all()
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("identity").join("node.pem")
}

/// Fleet and node of `spiffe://shadowcat/fleet/<fleet>/node/<node>`.
fn named(certificate: &X509Certificate<'_>) -> Option<(String, String)> {
    let names = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let mut uris = names.flatten().filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(NAME_PREFIX),
        _ => None,
    });
    let (fleet, node) = uris.next()?.split_once("/node/")?;
    Some((fleet.to_owned(), node.to_owned()))
}

/// RFC 7468: base64 in lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::Authority;

    #[test]
    fn a_join_token_is_read_whole_or_not_at_all() {
        let text = format!("{}.{}", "a-_0".repeat(11).split_at(43).0, "0f".repeat(32));
        let token: JoinToken = text.parse().unwrap();
        assert_eq!((token.reveal(), token.authority()), (&*text, "0f".repeat(32).parse().unwrap()));
        assert!(!format!("{token:?}").contains("a-_0"), "its secret is printed");
        for bad in ["", "x", ".", &text[1..], &text[..107], &text.replace('.', ":"), &text.replace("0f", "0g")] {
            assert_eq!(bad.parse::<JoinToken>(), Err(InvalidJoinToken), "{bad}");
        }
    }

    #[test]
    fn an_identity_is_kept_for_the_next_start_and_for_nobody_else() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        assert!(Identity::load(directory.path()).unwrap().is_none());
        let request = Request::new().unwrap();
        let chain = Authority::new().certify(&request.der, "prod", "edge-1");
        store(directory.path(), &request.issued(chain).unwrap().to_pem()).unwrap();
        let loaded = Identity::load(directory.path()).unwrap().expect("it was stored");
        assert_eq!((&*loaded.fleet, &*loaded.node, loaded.has_expired()), ("prod", "edge-1", false));
        let mode = fs::metadata(file(directory.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_identity_that_was_cut_anywhere_is_refused_in_words() {
        let directory = tempfile::tempdir().unwrap();
        let request = Request::new().unwrap();
        let chain = Authority::new().certify(&request.der, "prod", "edge-1");
        store(directory.path(), &request.issued(chain).unwrap().to_pem()).unwrap();
        let whole = fs::read(file(directory.path())).unwrap();
        // The last line end may be missing.
        for length in (0..whole.len() - 1).step_by(7) {
            fs::write(file(directory.path()), &whole[..length]).unwrap();
            let told = Identity::load(directory.path()).unwrap_err().to_string();
            assert!(told.contains("join again with --join-token"), "{length}: {told}");
        }
    }

    #[test]
    fn what_is_renewed_is_renewed_after_a_day_and_not_by_all_at_once() {
        let request = Request::new().unwrap();
        let identity = request_certified(request);
        let waits: Vec<_> = (0..100).map(|_| identity.renewal_in().as_secs()).collect();
        let hours = |seconds: u64| seconds / 3600;
        assert!(waits.iter().all(|wait| (19..29).contains(&hours(*wait))), "{waits:?}");
        assert!(waits.iter().min() != waits.iter().max());
    }

    fn request_certified(request: Request) -> Identity {
        let chain = Authority::new().certify(&request.der, "prod", "edge-1");
        request.issued(chain).unwrap()
    }
}
