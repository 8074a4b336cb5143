//! A version of a fleet's configuration in one file: what a node keeps of the last one that served it, and what it is started
//! with where no control plane can be reached.
//!
//! ```text
//! "SHCATCFG"  format: u32  epoch: u8 length, text  number: u64  digest: 32 bytes  configuration: u32 length, bytes
//! SHA-256 of all the above: 32 bytes
//! ```
//!
//! Numbers are big-endian. Invariant: [`decode`] returns only what [`encode`] was given, or says what became of the file; it
//! never panics and never allocates by what a file claims.

use std::fmt;

use crate::{Digest, digest};

/// The first bytes of every such file.
const MAGIC: &[u8; 8] = b"SHCATCFG";

/// The layout above. Another one gets another number.
const FORMAT: u32 = 1;

/// Bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;

/// Bytes of a configuration in canonical form: more than a file of [`MAX_FILE_BYTES`](crate::limits::MAX_FILE_BYTES) with all that
/// variables may bring in becomes, and what a node can hold twice while it changes versions.
pub const MAX_CANONICAL_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of the longest file [`encode`] writes: a configuration, and less than a kilobyte about it.
pub const MAX_SEED_BYTES: u64 = MAX_CANONICAL_BYTES as u64 + 1024;

/// Hexadecimal digits of a digest that people compare.
const SHORT_DIGEST: usize = 8;

/// Which version of a fleet's configuration: `7-1a2b3c4d` for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigRef {
    /// The life of the database that numbered it: another database counts in another epoch.
    pub epoch: String,
    /// From 1, in the order of commits.
    pub number: u64,
    /// Of its canonical bytes.
    pub digest: Digest,
}

impl fmt::Display for ConfigRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:.*}", self.number, SHORT_DIGEST, self.digest.to_string())
    }
}

/// Why a file holds no version that could be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Something else.
    #[error("this is no configuration snapshot: make one with shadowcatctl show NUMBER --seed FILE")]
    NotOne,
    /// Written by a later program.
    #[error(
        "the snapshot has format {format} and this program knows {FORMAT}: use the program that wrote it, or a newer one"
    )]
    Newer {
        /// Its format.
        format: u32,
    },
    /// It ends too early.
    #[error("the snapshot is torn: it ends after {bytes} bytes; copy it again")]
    Torn {
        /// How long it is.
        bytes: usize,
    },
    /// Some of its bytes are not those that were written.
    #[error("the snapshot is damaged: its checksum does not fit; copy it again")]
    Damaged,
    /// Larger than any configuration may be.
    #[error("the snapshot has {bytes} bytes and at most {MAX_SEED_BYTES} are read: split the configuration")]
    Oversize {
        /// How long it is, or says that its configuration is.
        bytes: u64,
    },
    /// It is whole, but its configuration is not the one it names.
    #[error("the snapshot names a configuration that it does not hold: make it anew")]
    Mismatch,
}

/// The file that holds `canonical` as version `version`.
#[must_use]
pub fn encode(version: &ConfigRef, canonical: &[u8]) -> Vec<u8> {
    let epoch = version.epoch.as_bytes();
    let mut file =
        Vec::with_capacity(MAGIC.len() + 4 + 1 + epoch.len() + 8 + DIGEST_BYTES + 4 + canonical.len() + DIGEST_BYTES);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&FORMAT.to_be_bytes());
    // A longer epoch, of which there is none, is cut here and then differs from its reference.
    let epoch = &epoch[..epoch.len().min(usize::from(u8::MAX))];
    file.push(u8::try_from(epoch.len()).unwrap_or(u8::MAX));
    file.extend_from_slice(epoch);
    file.extend_from_slice(&version.number.to_be_bytes());
    file.extend_from_slice(version.digest.as_bytes());
    file.extend_from_slice(&u32::try_from(canonical.len()).unwrap_or(u32::MAX).to_be_bytes());
    file.extend_from_slice(canonical);
    let checksum = digest(&file);
    file.extend_from_slice(checksum.as_bytes());
    file
}

/// The version that a file holds, and its configuration in canonical form.
///
/// # Errors
/// When it holds none that is whole.
pub fn decode(file: &[u8]) -> Result<(ConfigRef, &[u8]), SeedError> {
    if file.len() as u64 > MAX_SEED_BYTES {
        return Err(SeedError::Oversize { bytes: file.len() as u64 });
    }
    let torn = || SeedError::Torn { bytes: file.len() };
    let known = file.len().min(MAGIC.len());
    if file[..known] != MAGIC[..known] {
        return Err(SeedError::NotOne);
    }
    let mut rest = Fields(file.get(MAGIC.len()..).ok_or_else(torn)?);
    let format = rest.u32().ok_or_else(torn)?;
    if format != FORMAT {
        return Err(SeedError::Newer { format });
    }
    let epoch_bytes = rest.array::<1>().ok_or_else(torn)?[0];
    let epoch = rest.take(usize::from(epoch_bytes)).ok_or_else(torn)?;
    let number = u64::from_be_bytes(rest.array().ok_or_else(torn)?);
    let named = rest.digest().ok_or_else(torn)?;
    let length = rest.u32().ok_or_else(torn)?;
    if length as usize > MAX_CANONICAL_BYTES {
        return Err(SeedError::Oversize { bytes: u64::from(length) });
    }
    let canonical = rest.take(length as usize).ok_or_else(torn)?;
    let checksum = rest.digest().ok_or_else(torn)?;
    let covered = &file[..file.len() - rest.0.len() - DIGEST_BYTES];
    if !rest.0.is_empty() || checksum != digest(covered) {
        return Err(SeedError::Damaged);
    }
    let epoch = std::str::from_utf8(epoch).map_err(|_| SeedError::Damaged)?.to_owned();
    if named != digest(canonical) {
        return Err(SeedError::Mismatch);
    }
    Ok((ConfigRef { epoch, number, digest: named }, canonical))
}

/// What is left to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn digest(&mut self) -> Option<Digest> {
        self.take(DIGEST_BYTES).and_then(Digest::from_slice)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(canonical: &[u8]) -> ConfigRef {
        ConfigRef { epoch: "0123456789abcdef0123456789abcdef".to_owned(), number: 7, digest: digest(canonical) }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for canonical in [&b""[..], b"routes and upstreams"] {
            let version = version(canonical);
            assert_eq!(decode(&encode(&version, canonical)), Ok((version, canonical)));
        }
    }

    #[test]
    fn a_file_that_ends_early_is_torn_wherever_it_ends() {
        let file = encode(&version(b"routes"), b"routes");
        for length in 0..file.len() {
            assert_eq!(decode(&file[..length]), Err(SeedError::Torn { bytes: length }));
        }
    }

    #[test]
    fn no_bit_of_a_file_can_flip_unseen() {
        let file = encode(&version(b"routes"), b"routes");
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn each_fault_has_its_name() {
        let canonical = b"routes";
        let file = encode(&version(canonical), canonical);
        let changed = |at: usize, to: &[u8]| {
            let mut file = file.clone();
            file[at..at + to.len()].copy_from_slice(to);
            file
        };
        assert_eq!(decode(b"routes: []"), Err(SeedError::NotOne));
        assert_eq!(decode(&changed(8, &2_u32.to_be_bytes())), Err(SeedError::Newer { format: 2 }));
        assert_eq!(decode(&changed(13, b"X")), Err(SeedError::Damaged));
        assert_eq!(decode(&[&*file, b"x"].concat()), Err(SeedError::Damaged));
        let length_at = file.len() - DIGEST_BYTES - canonical.len() - 4;
        let oversize = Err(SeedError::Oversize { bytes: u64::from(u32::MAX) });
        assert_eq!(decode(&changed(length_at, &[0xFF; 4])), oversize);
        let other = ConfigRef { digest: digest(b"another"), ..version(canonical) };
        assert_eq!(decode(&encode(&other, canonical)), Err(SeedError::Mismatch));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut file = MAGIC.to_vec();
            file.extend_from_slice(&FORMAT.to_be_bytes());
            file.extend_from_slice(&tail);
            prop_assert!(decode(&file).is_err());
            prop_assert!(decode(&tail).is_err());
        }
    }
}
