//! Messages that are kept apart from their records: one file for one content, packed, and checked against its name.

use std::io::{self, Read};

use zstd::stream::read::Decoder;

/// Bytes that a message kept apart has at most. The gateway takes no larger message by default (4 MiB); this is sixteen
/// times that.
pub const BLOB_PLAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// As for segments: messages of this size are mostly base64, and more effort gains little on it.
const ZSTD_LEVEL: i32 = 3;

/// Why a blob is not what its name says.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It unpacks to more than any message has.
    #[error("the blob {hash} unpacks to more than {BLOB_PLAIN_BYTES_MAX} bytes")]
    TooLarge {
        /// Its name.
        hash: String,
    },
    /// It cannot be unpacked.
    #[error("the blob {hash} cannot be unpacked: {source}")]
    Damaged {
        /// Its name.
        hash: String,
        /// What zstd says.
        source: io::Error,
    },
    /// It holds something else.
    #[error("the blob {hash} holds something whose BLAKE3 is {actual}")]
    OtherContent {
        /// Its name.
        hash: String,
        /// What its content should be called.
        actual: String,
    },
}

/// The name of this content: its BLAKE3 in 64 hexadecimal digits.
#[must_use]
pub fn hash(plain: &[u8]) -> String {
    blake3::hash(plain).to_hex().to_string()
}

/// Whether a text has the form of such a name, and so is safe in a path.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    text.len() == blake3::OUT_LEN * 2 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Packs a message.
///
/// # Errors
/// zstd had no memory.
pub fn pack(plain: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(plain, ZSTD_LEVEL)
}

/// Unpacks a message, and checks that it is the one of this name.
///
/// # Errors
/// [`BlobError`] says how it is not.
pub fn unpack(packed: &[u8], hash: &str) -> Result<Vec<u8>, BlobError> {
    let damaged = |source| BlobError::Damaged { hash: hash.to_owned(), source };
    let mut plain = Vec::new();
    let decoder = Decoder::with_buffer(packed).map_err(damaged)?;
    decoder.take(BLOB_PLAIN_BYTES_MAX as u64 + 1).read_to_end(&mut plain).map_err(damaged)?;
    if plain.len() > BLOB_PLAIN_BYTES_MAX {
        return Err(BlobError::TooLarge { hash: hash.to_owned() });
    }
    check(&plain, hash)?;
    Ok(plain)
}

/// Checks that this is the message of this name.
///
/// # Errors
/// [`BlobError::OtherContent`].
pub fn check(plain: &[u8], hash: &str) -> Result<(), BlobError> {
    let actual = self::hash(plain);
    if actual == hash { Ok(()) } else { Err(BlobError::OtherContent { hash: hash.to_owned(), actual }) }
}
