//! Reading a tape.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{Manifest, SEGMENT_PLAIN_BYTES_MAX, State, TapeError, blobs_of, io_error, open_name, sealed_name};
use crate::blob::{BLOB_PLAIN_BYTES_MAX, check, is_hash};
use crate::directory::Directory;
use crate::line;
use crate::record::Record;
use crate::segment::{Found, FrameDamage, Scan, Summary, unseal};

/// The plain text of a segment, as far as it can be unpacked.
pub(super) struct Text {
    pub(super) file: PathBuf,
    pub(super) plain: Vec<u8>,
    pub(super) damage: Vec<FrameDamage>,
}

/// Reads a tape. Every method may block on the disk.
#[derive(Debug)]
pub struct TapeReader {
    dir: PathBuf,
    directory: Directory,
    blobs: Directory,
    manifest: Manifest,
}

impl TapeReader {
    /// Opens a tape by its manifest.
    ///
    /// # Errors
    /// [`TapeError`] if there is none, or none that this build reads.
    pub fn open(dir: &Path) -> Result<Self, TapeError> {
        let manifest = Manifest::read(dir)?;
        let (directory, blobs) = (Directory::existing(dir), Directory::existing(&blobs_of(dir)));
        Ok(Self { dir: dir.to_owned(), directory, blobs, manifest })
    }

    /// What the tape says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Shows every record and every damage, in order, until the visitor breaks off. On a tape that is still open the
    /// segment that is being written comes last. Nothing is told here of frames that cannot be unpacked but the holes
    /// that they leave: [`validate`](super::validate).
    ///
    /// # Errors
    /// [`TapeError`] for a segment that cannot be read, or not by this build. What comes before it was shown.
    pub fn each(&self, mut visit: impl FnMut(Found<'_>) -> ControlFlow<()>) -> Result<Summary, TapeError> {
        let mut summary = Summary::default();
        for name in self.segment_names() {
            let text = self.text(&name)?;
            let mut scan = Scan::after(summary, &text.plain);
            for found in scan.by_ref() {
                let found = found.map_err(|source| TapeError::Refused { file: text.file.clone(), source })?;
                if visit(found).is_break() {
                    return Ok(scan.summary().clone());
                }
            }
            summary = scan.summary().clone();
        }
        Ok(summary)
    }

    /// The message of a record, wherever it is kept; `None` for a record without one.
    ///
    /// # Errors
    /// [`TapeError`] if it is kept apart and is not there, or is not what its name says.
    pub fn message<'a>(&self, record: &Record<'a>) -> Result<Option<Cow<'a, [u8]>>, TapeError> {
        match &record.blob {
            Some(blob) => Ok(Some(Cow::Owned(self.blob(&blob.hash)?))),
            None => Ok(line::message(record)?),
        }
    }

    /// A message that is kept apart.
    ///
    /// # Errors
    /// As for [`message`](Self::message).
    pub fn blob(&self, hash: &str) -> Result<Vec<u8>, TapeError> {
        if !is_hash(hash) {
            let what = format!("`{hash}` is no name of a blob");
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, what);
            return Err(TapeError::Io { file: blobs_of(&self.dir), source });
        }
        let message =
            self.blobs.read(hash, BLOB_PLAIN_BYTES_MAX as u64).map_err(io_error(blobs_of(&self.dir).join(hash)))?;
        check(&message, hash)?;
        Ok(message)
    }

    /// Files of segments, in order: those of the manifest, and what follows them on an open tape.
    pub(super) fn segment_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.manifest.segments.iter().map(|segment| sealed_name(segment.n)).collect();
        if self.manifest.state == State::Open {
            // The writer may have died after it sealed a segment and before it listed it.
            let n = names.len() as u64;
            let last = [sealed_name(n), open_name(n)].into_iter().find(|name| self.directory.metadata(name).is_ok());
            names.extend(last);
        }
        names
    }

    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, TapeError> {
        self.directory.read(name, SEGMENT_PLAIN_BYTES_MAX as u64).map_err(io_error(self.dir.join(name)))
    }

    fn text(&self, name: &str) -> Result<Text, TapeError> {
        self.unpack(name, self.read(name)?)
    }

    pub(super) fn unpack(&self, name: &str, bytes: Vec<u8>) -> Result<Text, TapeError> {
        let file = self.dir.join(name);
        if !name.ends_with(".zst") {
            return Ok(Text { file, plain: bytes, damage: Vec::new() });
        }
        match unseal(&bytes, SEGMENT_PLAIN_BYTES_MAX) {
            Ok(unsealed) => Ok(Text { file, plain: unsealed.plain, damage: unsealed.damage }),
            Err(source) => Err(TapeError::Unseal { file, source }),
        }
    }
}
