//! Writing a tape.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{
    BLOBS, MANIFEST, Manifest, Selection, State, TapeError, TapeSegment, blobs_of, io_error, open_name, sealed_name,
};
use crate::blob;
use crate::directory::{Directory, follow};
use crate::line::decode;
use crate::segment::{Contents, seal_as};

/// Plain bytes at which a segment of a tape is sealed, unless the settings say otherwise: 32 frames of zstd, and what a
/// reader holds.
pub const DEFAULT_ROLL_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that wait in memory to be written. Beyond it [`TapeWriter::append`] writes them itself.
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// How a tape is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapeSettings {
    /// Program and version, as in `shadowcat 0.1.0`.
    pub created_by: String,
    /// Whether holes in `seq` are loss.
    pub selection: Selection,
    /// Plain bytes at which a segment is sealed.
    pub roll_bytes: usize,
}

impl Default for TapeSettings {
    fn default() -> Self {
        let created_by = concat!("shadowcat ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { created_by, selection: Selection::Everything, roll_bytes: DEFAULT_ROLL_BYTES }
    }
}

/// Writes a tape. Every method may block on the disk. After an error of the disk the tape holds what was sealed before;
/// dropping the writer leaves it open, as a crash does.
#[derive(Debug)]
pub struct TapeWriter {
    dir: PathBuf,
    directory: Directory,
    blobs: Directory,
    roll_bytes: usize,
    manifest: Manifest,
    /// The file of the open segment, once there is something in it.
    file: Option<File>,
    plain: Vec<u8>,
    written: usize,
    contents: Contents,
}

impl TapeWriter {
    /// Begins a tape in this directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`TapeError::Exists`] if it holds a tape; [`TapeError::Io`].
    pub fn create(dir: &Path, settings: TapeSettings) -> Result<Self, TapeError> {
        let directory = Directory::create(dir).map_err(io_error(dir))?;
        if directory.metadata(MANIFEST).is_ok() {
            return Err(TapeError::Exists(dir.to_owned()));
        }
        let blobs = Directory::create(&blobs_of(dir)).map_err(io_error(dir.join(BLOBS)))?;
        let manifest = Manifest::new(settings.created_by, settings.selection);
        manifest.write(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            directory,
            blobs,
            roll_bytes: settings.roll_bytes,
            manifest,
            file: None,
            plain: Vec::new(),
            written: 0,
            contents: Contents::default(),
        })
    }

    /// Appends a record's line as it is.
    ///
    /// # Errors
    /// [`TapeError::Line`] if it is no record; the tape is as it was. [`TapeError::Io`].
    pub fn append(&mut self, line: &[u8]) -> Result<(), TapeError> {
        let record = decode(line)?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.plain.extend_from_slice(line);
        self.plain.push(b'\n');
        self.contents.add(&record, line.len() + 1);
        if self.plain.len() >= self.roll_bytes {
            return self.seal();
        }
        if self.plain.len() - self.written >= BUFFER_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Keeps a message apart, once for each content; its name is for `blob.hash` of a record.
    ///
    /// # Errors
    /// [`TapeError::Io`].
    pub fn add_blob(&mut self, message: &[u8]) -> Result<String, TapeError> {
        let hash = blob::hash(message);
        if self.blobs.metadata(&hash).is_err() {
            self.blobs.write_whole(&hash, message).map_err(io_error(self.blobs.path_of(&hash)))?;
        }
        Ok(hash)
    }

    /// Writes what waits in memory to the open segment's file.
    ///
    /// # Errors
    /// [`TapeError::Io`].
    pub fn flush(&mut self) -> Result<(), TapeError> {
        if self.written == self.plain.len() {
            return Ok(());
        }
        let name = open_name(self.manifest.segments.len() as u64);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.directory.create_file(&name).map_err(io_error(self.dir.join(&name)))?),
        };
        follow(file, &self.plain, &mut self.written).map_err(io_error(self.dir.join(&name)))
    }

    /// Seals what is open and says in the manifest that nothing follows.
    ///
    /// # Errors
    /// [`TapeError::Io`]. The tape is then an open one.
    pub fn finish(mut self) -> Result<Manifest, TapeError> {
        if !self.plain.is_empty() {
            self.seal()?;
        }
        self.manifest.state = State::Complete;
        self.manifest.write(&self.dir)?;
        Ok(self.manifest)
    }

    /// The sealed file is listed once it is durable, and the plain one goes once it is listed.
    fn seal(&mut self) -> Result<(), TapeError> {
        let n = self.manifest.segments.len() as u64;
        let (open, name) = (open_name(n), sealed_name(n));
        let mut sealed = Vec::new();
        seal_as(&self.plain, &self.contents, &mut sealed)
            .and_then(|()| self.blobs.sync())
            .and_then(|()| self.directory.write_whole(&name, &sealed))
            .and_then(|()| self.directory.sync())
            .map_err(io_error(self.dir.join(&name)))?;
        self.manifest.segments.push(TapeSegment::new(&self.manifest.segments, &self.contents, &sealed));
        self.manifest.write(&self.dir)?;
        self.directory.remove(&open).map_err(io_error(self.dir.join(&open)))?;
        (self.file, self.written, self.contents) = (None, 0, Contents::default());
        self.plain.clear();
        Ok(())
    }
}
