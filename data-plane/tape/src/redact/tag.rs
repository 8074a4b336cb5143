//! Tags: what stands where a secret stood. They are keyed hashes, so equal secrets have equal tags and nobody without the
//! key can try secrets until a tag fits.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use aws_lc_rs::hmac;
use memchr::memmem;

/// How a tag begins. No wire format uses these brackets, so no message has them by chance.
pub(super) const OPEN: &str = "⟦r:";
const CLOSE: &str = "⟧";

/// Hexadecimal digits of a tag's hash: 32 bits tell the secrets of a tape apart and give little to whoever gets the key.
const HASH_DIGITS: usize = 8;

/// Longest kind, in bytes: longer than any name used here, short enough to be read at a glance.
const KIND_BYTES_MAX: usize = 32;

/// The secret of the tags: whoever has it can test guesses against a tape. 32 bytes, from a random source.
#[derive(Clone)]
pub struct RedactionKey([u8; 32]);

impl From<[u8; 32]> for RedactionKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Shows nothing of the key.
impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactionKey(…)")
    }
}

/// Makes tags.
pub(super) struct Tagger {
    key: hmac::Key,
    id: String,
}

impl Tagger {
    pub(super) fn new(key: &RedactionKey) -> Self {
        let id = blake3::hash(&key.0).to_hex()[..HASH_DIGITS].to_owned();
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key.0), id }
    }

    /// The first eight hexadecimal digits of the key's BLAKE3.
    pub(super) fn key_id(&self) -> &str {
        &self.id
    }

    /// The tag of a secret. The kind is no part of the hash. A kind is lower-case ASCII; what is not becomes `_`.
    pub(super) fn tag(&self, kind: &str, secret: &[u8]) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut tag = String::with_capacity(OPEN.len() + kind.len() + 1 + HASH_DIGITS + CLOSE.len());
        tag.push_str(OPEN);
        let plain = kind.bytes().map(|byte| if is_kind(byte) { byte.into() } else { '_' });
        tag.extend(plain.take(KIND_BYTES_MAX));
        tag.push(':');
        let hash = hmac::sign(&self.key, secret);
        for byte in &hash.as_ref()[..HASH_DIGITS / 2] {
            tag.push(HEX[usize::from(byte >> 4)].into());
            tag.push(HEX[usize::from(byte & 0xF)].into());
        }
        tag.push_str(CLOSE);
        tag
    }
}

/// Where the tag that begins at `at` ends.
pub(super) fn end_of_tag(text: &[u8], at: usize) -> Option<usize> {
    let rest = text[at..].strip_prefix(OPEN.as_bytes())?;
    let kind = rest.iter().take(KIND_BYTES_MAX).take_while(|byte| is_kind(**byte)).count();
    let (hash, rest) = rest[kind..].strip_prefix(b":")?.split_at_checked(HASH_DIGITS)?;
    let whole = kind > 0 && hash.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let rest = rest.strip_prefix(CLOSE.as_bytes())?;
    whole.then_some(text.len() - rest.len())
}

/// Whether this is a tag and nothing else.
pub(super) fn is_tag(text: &[u8]) -> bool {
    end_of_tag(text, 0) == Some(text.len())
}

/// Whether a tag is in this part of the text, or right behind it.
pub(super) fn touches(text: &[u8], part: &Range<usize>) -> bool {
    memmem::find(&text[part.clone()], OPEN.as_bytes()).is_some() || end_of_tag(text, part.end).is_some()
}

/// The text with a `/` for each tag in it.
pub(super) fn without_tags(text: &[u8]) -> Cow<'_, [u8]> {
    let mut rest = text;
    let mut bare = Vec::new();
    while let Some(at) = memmem::find(rest, OPEN.as_bytes()) {
        let end = end_of_tag(rest, at);
        bare.extend_from_slice(&rest[..at]);
        bare.push(b'/');
        rest = &rest[end.unwrap_or(at + OPEN.len())..];
    }
    if bare.is_empty() {
        return Cow::Borrowed(text);
    }
    bare.extend_from_slice(rest);
    Cow::Owned(bare)
}

fn is_kind(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')
}
