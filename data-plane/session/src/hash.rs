//! Hashing for maps keyed by session ids.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps that hold only ids this gateway minted: their bits are random, so they are their own hash. A forged id can be
/// looked up in such a map, but nobody can put many of one bucket into it.
pub(crate) type IdBuildHasher = BuildHasherDefault<IdHasher>;

/// Takes the id's bits as they are.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 ^= bits;
    }
}
