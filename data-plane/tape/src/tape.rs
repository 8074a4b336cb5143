//! A tape: a directory `<name>.tape/` that holds a recording for good.
//!
//! ```text
//! manifest.json          which segments there are, what each holds, and their hashes, each with that of the one before
//! seg-000000.jsonl.zst   a sealed segment, as on a node
//! seg-000001.jsonl       the segment that is being written, if one is
//! blobs/<hash>           messages that are kept apart, unpacked, named by their BLAKE3
//! ```
//!
//! Segments are parts of one stream: a head stands once, not in each. A tape is finished when its manifest says so, and
//! by no other sign.
//!
//! Invariants:
//! - A line stands on a tape byte for byte as it was recorded.
//! - What the manifest lists was on the disk before it was listed.
//! - Reading needs no more memory than one segment and one message.
//!
//! Not here: indexes and notes, which can be made anew or lie beside it, and the making of a tape out of a spool.

mod manifest;
mod reader;
#[cfg(test)]
mod tests;
mod validate;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

pub use self::manifest::{Manifest, Selection, State, TapeSegment};
pub use self::reader::TapeReader;
pub use self::validate::{PROBLEMS_MAX, Problem, Report, validate};
pub use self::writer::{DEFAULT_ROLL_BYTES, TapeSettings, TapeWriter};
use crate::blob::BlobError;
use crate::line::{LineError, NotBase64};
use crate::segment::{Refused, UnsealError};

/// The name of the manifest in a tape's directory.
pub const MANIFEST: &str = "manifest.json";

/// The name of the directory of blobs in a tape's directory.
pub const BLOBS: &str = "blobs";

/// Plain bytes of a segment that is read: a segment that this build writes, and as much again.
const SEGMENT_PLAIN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why a tape cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// A file of it cannot be used.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is a tape already.
    #[error("{0} holds a tape already: choose another name, or remove it")]
    Exists(PathBuf),
    /// Its manifest is none.
    #[error("{file} is no manifest of a tape: {what}")]
    Manifest {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It was written by a newer build.
    #[error("{file}: {source}")]
    Refused {
        /// The file.
        file: PathBuf,
        /// What this build does not know.
        source: Refused,
    },
    /// A segment cannot be unpacked.
    #[error("{file}: {source}")]
    Unseal {
        /// The file.
        file: PathBuf,
        /// Why.
        source: UnsealError,
    },
    /// What was to be appended is no record.
    #[error("not appended: {0}")]
    Line(#[from] LineError),
    /// A blob is not what its name says.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A message is not what its member says.
    #[error(transparent)]
    Message(#[from] NotBase64),
}

fn io_error(file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> TapeError {
    move |source| TapeError::Io { file: file.into(), source }
}

fn open_name(n: u64) -> String {
    format!("seg-{n:06}.jsonl")
}

fn sealed_name(n: u64) -> String {
    format!("seg-{n:06}.jsonl.zst")
}

fn blobs_of(dir: &Path) -> PathBuf {
    dir.join(BLOBS)
}
