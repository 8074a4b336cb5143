//! By what an authority is known: the SHA-256 of its certificate.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// Why a text is no [`Fingerprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a fingerprint is the SHA-256 of the authority's certificate: 64 hexadecimal digits, as after the dot of a join token"
)]
pub struct InvalidFingerprint;

/// SHA-256 over the DER of an authority's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
        Self(bytes)
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    /// 64 hexadecimal digits, or as `openssl x509 -fingerprint` prints them, in pairs with colons.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        let digits: String = text.trim().chars().filter(|character| *character != ':').collect();
        let digit = |at: usize| digits.as_bytes().get(at).and_then(|byte| char::from(*byte).to_digit(16));
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair =
                digit(2 * index).zip(digit(2 * index + 1)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
            *byte = pair.ok_or(InvalidFingerprint)?;
        }
        if digits.len() == 64 { Ok(Self(bytes)) } else { Err(InvalidFingerprint) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidFingerprint;

    fn try_from(text: String) -> Result<Self, InvalidFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_back_as_printed_and_as_openssl_prints_it() {
        let fingerprint = Fingerprint::of(b"a certificate");
        let printed = fingerprint.to_string();
        assert_eq!(printed.parse(), Ok(fingerprint));
        let pairs: Vec<String> = printed
            .to_uppercase()
            .as_bytes()
            .chunks(2)
            .map(|pair| String::from_utf8_lossy(pair).into_owned())
            .collect();
        assert_eq!(pairs.join(":").parse(), Ok(fingerprint));
    }

    #[test]
    fn what_is_no_fingerprint_is_refused() {
        for text in [String::new(), "ab".to_owned(), "g".repeat(64), "a".repeat(66), "é".repeat(32)] {
            text.parse::<Fingerprint>().expect_err(&text);
        }
    }
}
