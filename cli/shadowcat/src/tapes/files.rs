//! Files of tapes and spools, read up to a bound.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use shadowcat_tape::blob::{self, BLOB_PLAIN_BYTES_MAX, is_hash};
use shadowcat_tape::segment::SegmentId;
use shadowcat_tape::tape::BLOBS;

use super::{Kind, Place};

/// The end of the name of a message that a spool keeps apart, behind its segment and its hash.
const SPOOL_BLOB: &str = "blob.zst";

/// Bytes of a segment's file, and of the text in it, on a tape: as `shadowcat_tape::tape::validate` has it.
const TAPE_SEGMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The same in a spool, whose segments may be larger by its settings; the control plane takes none beyond.
const SPOOL_SEGMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

impl Kind {
    /// Bytes of a segment that is read, packed or not.
    pub(super) const fn segment_bytes_max(self) -> usize {
        match self {
            Self::Tape => TAPE_SEGMENT_BYTES_MAX,
            Self::Spool => SPOOL_SEGMENT_BYTES_MAX,
        }
    }
}

/// A file's bytes. What is no file is refused before it is opened.
///
/// # Errors
/// It is no file, has more than `bytes_max` bytes, or what the system says.
pub(super) fn read(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// A message that is kept apart. In a spool each segment has its own.
///
/// # Errors
/// It is not there, cannot be read, or is not what its name says.
pub(crate) fn message(place: &Place, segment: Option<&SegmentId>, hash: &str) -> io::Result<Vec<u8>> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    if !is_hash(hash) {
        return Err(invalid(format!("`{hash}` is no name of a message")));
    }
    match (place.kind, segment) {
        (Kind::Spool, Some(segment)) => {
            let packed = read(&place.path.join(format!("{segment}.{hash}.{SPOOL_BLOB}")), BLOB_PLAIN_BYTES_MAX)?;
            blob::unpack(&packed, hash).map_err(|why| invalid(why.to_string()))
        }
        _ => {
            let message = read(&place.path.join(BLOBS).join(hash), BLOB_PLAIN_BYTES_MAX)?;
            blob::check(&message, hash).map_err(|why| invalid(why.to_string()))?;
            Ok(message)
        }
    }
}

/// What the system says of a file, in words that need no number.
pub(crate) fn words(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::NotFound => "it is not there".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => why.to_string(),
    }
}
