//! A directory that one process writes: files that come about whole or not at all.
//!
//! Paths are looked up at every step. A directory that was unmounted and came back is used again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Recorded traffic is for its owner's eyes.
const DIRECTORY_MODE: u32 = 0o700;

/// The same for files.
const FILE_MODE: u32 = 0o600;

/// The end of the name of a file that is being written.
pub(crate) const TMP: &str = ".tmp";

/// A directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory of this path, made if it is not there.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// The directory of this path, if it is there.
    pub(crate) fn existing(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Files in it, in the order of their names. A name that is no text is nobody's here.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// A new file to append to.
    pub(crate) fn create_file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().append(true).create_new(true).mode(FILE_MODE).open(self.path.join(name))
    }

    /// A file that is held by one process at a time, and is let go when that process ends. It stays: what is in it
    /// means nothing.
    pub(crate) fn lock_file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(self.path.join(name))
    }

    /// Writes a file that is there under its name only with all its bytes on the disk. The name itself is durable after
    /// [`sync`](Self::sync).
    ///
    /// After an error nothing of it is left, as far as the disk lets that happen. It is not to be tried again after a
    /// failed fsync: the kernel may have dropped the bytes and would report success (Linux, since 4.13).
    pub(crate) fn write_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let tmp = self.path.join(format!("{name}{TMP}"));
        let written = self.write_synced(&tmp, bytes).and_then(|()| fs::rename(&tmp, self.path.join(name)));
        if written.is_err() {
            // It may not even be there; the next start removes what is.
            let _ = fs::remove_file(&tmp);
        }
        written
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Gives a file another name; one that has it already is replaced.
    pub(crate) fn rename(&self, name: &str, other: &str) -> io::Result<()> {
        fs::rename(self.path.join(name), self.path.join(other))
    }

    /// Bytes that its file system still takes.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.path)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// A file's bytes, up to a bound.
    pub(crate) fn read(&self, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let bytes = self.read_first(name, bytes_max.saturating_add(1))?;
        if bytes.len() as u64 > bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {bytes_max} bytes")));
        }
        Ok(bytes)
    }

    /// The first bytes of a file.
    pub(crate) fn read_first(&self, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path.join(name))?.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn metadata(&self, name: &str) -> io::Result<fs::Metadata> {
        fs::symlink_metadata(self.path.join(name))
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// Writes what a file does not have yet of a text, and counts what it has: after an error it can go on where it
/// stopped.
pub(crate) fn follow(mut file: &File, text: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < text.len() {
        match file.write(&text[*written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => *written += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
