//! What makes a version: its bytes, its identity, and what it has otherwise than another.
//!
//! A version is known by the digest of its canonical bytes. Whoever commits it encodes it once; everybody else hashes
//! the bytes they were given and never encodes them again to find out. Two messages are equal exactly if their
//! canonical bytes are: the schema has no maps and no floating point numbers, and a field has one encoding.

mod diff;
mod resource;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use prost::Message;
use shadowcat_proto::config::v1 as raw;

pub use diff::{Change, FieldChange, Verb, diff};
use resource::Resource;

/// Bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;

/// A SHA-256, printed in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; DIGEST_BYTES]);

impl Digest {
    /// A digest from its bytes; `None` unless there are 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: write the 64 hexadecimal digits of a SHA-256")]
pub struct InvalidDigest;

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let mut bytes = [0; DIGEST_BYTES];
        if text.len() != 2 * DIGEST_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidDigest);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidDigest)?;
        }
        Ok(Self(bytes))
    }
}

/// The bytes that a version is stored, sent and known by.
#[must_use]
pub fn canonical(raw: &raw::Config) -> Vec<u8> {
    raw.encode_to_vec()
}

/// The digest of bytes as they are.
#[must_use]
pub fn digest(canonical: &[u8]) -> Digest {
    let made = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical);
    let mut bytes = [0; DIGEST_BYTES];
    bytes.copy_from_slice(made.as_ref());
    Digest(bytes)
}

/// One resource of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The list it is in: `routes`, `upstreams`, …
    pub kind: &'static str,
    /// Its name there.
    pub name: String,
}

/// The digest of each resource. One that has not changed has the same digest in both versions, so whatever was built
/// from it alone can be kept.
#[must_use]
pub fn resource_digests(raw: &raw::Config) -> BTreeMap<ResourceKey, Digest> {
    let mut digests = BTreeMap::new();
    add_digests::<raw::Route>(raw, &mut digests);
    add_digests::<raw::Upstream>(raw, &mut digests);
    add_digests::<raw::IdentityProvider>(raw, &mut digests);
    add_digests::<raw::Policy>(raw, &mut digests);
    add_digests::<raw::RateLimit>(raw, &mut digests);
    add_digests::<raw::RuleSet>(raw, &mut digests);
    add_digests::<raw::Recording>(raw, &mut digests);
    digests
}

fn add_digests<R: Resource>(raw: &raw::Config, digests: &mut BTreeMap<ResourceKey, Digest>) {
    digests.extend(R::all(raw).iter().map(|resource| (resource.key(), digest(&resource.encode_to_vec()))));
}
