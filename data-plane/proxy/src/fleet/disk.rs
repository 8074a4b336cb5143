//! The versions that have served this node, on its disk: what it starts from when no control plane answers.
//!
//! ```text
//! <data-dir>/config/<number>-<digest8>.snapshot     the last ones, as `shadowcat_config::encode` writes them
//! <data-dir>/config/<number>-<digest8>.bad          what turned out not to be whole, for whoever wants to know why
//! <data-dir>/config/boots                           which of them ran last, which is on trial, which has proven itself
//! ```
//!
//! Invariants: a snapshot is there whole or not at all (temporary file, fsync, rename, fsync of the directory); whatever state the
//! files are in, a start goes on, and nothing that is not exactly what was written is ever returned. A disk that takes nothing ends
//! a start only if there is nothing on it to start from.
//!
//! **Trial.** A version is noted before this node first touches it, and the note goes when it has run for a while or the node was
//! stopped in order. A start that finds the note knows that the process died under it. Twice is enough: the node goes back to the
//! last version that proved itself, and refuses the other. Without one to go back to it tries again.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use shadowcat_config::{ConfigRef, MAX_SEED_BYTES, SeedError, decode, encode};

use super::boots::{Boots, stem};

/// Snapshots kept beside the current one: the one before it, for a rollback of the file system's making, and the last that proved
/// itself.
const KEPT_BESIDE: usize = 2;

/// As many files that are not whole are kept for whoever wants to look at them.
const BAD_MAX: usize = 3;

/// A process that died this often on a version does not get it again.
const CRASHES_MAX: u32 = 2;

const SNAPSHOT: &str = "snapshot";
const BAD: &str = "bad";
const TEMPORARY: &str = "tmp";

/// Why a node cannot keep what it runs.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The directory is not there, full, read-only, or somebody else's.
    #[error(
        "cannot write to {}: {reason}; make room there and let this user write, or give another directory with --data-dir",
        path.display()
    )]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by another data plane: give each its own --data-dir", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

/// The directory, held by one process.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    /// Locked: two nodes on one directory would be one node twice. Absent where the disk takes no file to lock.
    _lock: Option<File>,
    boots: Boots,
    candidates: VecDeque<String>,
    reverted: Option<ConfigRef>,
    /// The disk did not take the last note: what it says is older.
    unnoted: bool,
}

impl Disk {
    /// Opens `<data_dir>/config`, and goes back from a version under which the process died.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, DiskError> {
        let directory = data_dir.join("config");
        let failed = |reason| DiskError::Io { path: directory.clone(), reason };
        create_private(&directory).map_err(failed)?;
        let (lock, locked) = match lock(data_dir, &directory) {
            Ok(lock) => (Some(lock), Ok(())),
            Err(in_use @ DiskError::InUse { .. }) => return Err(in_use),
            Err(error) => (None, Err(error)),
        };
        let stems = snapshots(&directory).map_err(failed)?;
        let boots = Boots::read(&directory.join("boots"));
        let mut disk =
            Self { directory, _lock: lock, boots, candidates: VecDeque::new(), reverted: None, unnoted: false };
        disk.judge(&stems);
        disk.candidates = disk.boots.order(stems);
        // What is left over goes first: a full disk may have room for the note then.
        disk.tidy();
        // Whether this machine can keep anything is found out now, not when a version has come.
        let noted = disk.note();
        disk.go_on_without(locked, "another data plane that uses this directory too is not noticed")?;
        disk.go_on_without(noted, "a version that kills the process is not found out")?;
        Ok(disk)
    }

    /// Lets a start go on that could not write, if there is something to serve: a machine whose disk has filled up must come back.
    fn go_on_without(&self, written: Result<(), DiskError>, consequence: &str) -> Result<(), DiskError> {
        let Err(error) = written else { return Ok(()) };
        let usable = |stem: &String| self.read(stem).is_ok_and(|(version, _)| !self.boots.refused.contains(&version));
        if !self.candidates.iter().any(usable) {
            return Err(error);
        }
        tracing::warn!(%error, "starting from what is on this disk, which takes nothing new: {consequence}");
        Ok(())
    }

    /// Counts the start that just happens against the version under which the last process died, if it did.
    fn judge(&mut self, stems: &[String]) {
        let Some(suspect) = self.boots.trial.take() else { return };
        // What has run for long is not what kills, whenever it happens.
        if self.boots.has_proven(&suspect) || self.boots.died_under(&suspect) < CRASHES_MAX {
            return;
        }
        if !self.boots.proven.iter().any(|proven| stems.contains(proven)) {
            return;
        }
        tracing::error!(version = %suspect, "the process died twice under this version: going back to one that has proven itself");
        self.boots.refuse(suspect.clone());
        self.reverted = Some(suspect);
    }

    /// The version that this start went back from.
    pub(crate) fn reverted(&self) -> Option<&ConfigRef> {
        self.reverted.as_ref()
    }

    /// Versions that are not to be run here.
    pub(crate) fn refused(&self) -> &[ConfigRef] {
        &self.boots.refused
    }

    /// The next best version to start from, best first; none when there is no other.
    pub(crate) fn next(&mut self) -> Option<(ConfigRef, Bytes)> {
        while let Some(stem) = self.candidates.pop_front() {
            match self.read(&stem) {
                Ok(found) if self.boots.refused.contains(&found.0) => {}
                Ok(found) => return Some(found),
                Err(fault) => self.set_aside(&stem, &fault),
            }
        }
        None
    }

    fn read(&self, stem: &str) -> Result<(ConfigRef, Bytes), Fault> {
        let file = read_bounded(&self.path(stem, SNAPSHOT))?;
        let (version, canonical) = decode(&file)?;
        Ok((version, Bytes::copy_from_slice(canonical)))
    }

    /// What is damaged stays damaged: it gets out of the way. What only this program cannot read stays.
    fn set_aside(&self, stem: &str, fault: &Fault) {
        let path = self.path(stem, SNAPSHOT);
        tracing::error!(path = %path.display(), %fault, "a snapshot is not usable; the start goes on without it");
        if matches!(fault, Fault::Unreadable(_) | Fault::Snapshot(SeedError::Newer { .. })) {
            return;
        }
        if let Err(error) = fs::rename(&path, self.path(stem, BAD)) {
            tracing::warn!(path = %path.display(), %error, "the unusable snapshot stays where it is");
        }
    }

    /// Notes that `version` is about to be touched for the first time, or again.
    pub(crate) fn trial(&mut self, version: &ConfigRef) -> Result<(), DiskError> {
        self.boots.trial = Some(version.clone());
        self.note()
    }

    /// Notes that nothing is on trial: what was touched is not put to use, or the node stops in order.
    pub(crate) fn end_of_trial(&mut self) -> Result<(), DiskError> {
        if self.boots.trial.take().is_none() && !self.unnoted {
            return Ok(());
        }
        self.note()
    }

    /// Notes that `version` has run for a while, so that whatever kills the process later is not it.
    pub(crate) fn survived(&mut self, version: &ConfigRef) -> Result<(), DiskError> {
        self.boots.survived(version);
        self.note()
    }

    /// Notes that a version has run long enough to go back to.
    pub(crate) fn proven(&mut self, version: &ConfigRef) -> Result<(), DiskError> {
        self.boots.prove(version);
        self.note()
    }

    /// Keeps `version` as what ran last.
    pub(crate) fn save(&mut self, version: &ConfigRef, canonical: &[u8]) -> Result<(), DiskError> {
        let stem = stem(version);
        let path = self.path(&stem, SNAPSHOT);
        let failed = |reason| DiskError::Io { path: path.clone(), reason };
        let temporary = self.path(&stem, TEMPORARY);
        write_private(&temporary, &encode(version, canonical), Durability::Synced).map_err(failed)?;
        fs::rename(&temporary, &path).map_err(failed)?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        self.boots.ran(&stem);
        self.note()?;
        self.tidy();
        Ok(())
    }

    /// Writes `boots`. It is not synced: it counts deaths of the process, which the system's memory outlives, and after one of the
    /// machine a note too old does no harm.
    fn note(&mut self) -> Result<(), DiskError> {
        let path = self.directory.join("boots");
        let temporary = self.directory.join("boots.tmp");
        let written = write_private(&temporary, &self.boots.to_bytes(), Durability::Written);
        let noted = written.and_then(|()| fs::rename(&temporary, &path));
        self.unnoted = noted.is_err();
        noted.map_err(|reason| DiskError::Io { path, reason })
    }

    /// Removes what is beyond its bound. What cannot be removed is tried again the next time.
    fn tidy(&mut self) {
        let Ok(stems) = snapshots(&self.directory) else { return };
        let order: Vec<_> = self.boots.order(stems).into();
        let mut keep: Vec<_> = order.iter().take(1 + KEPT_BESIDE).collect();
        let proven = self.boots.proven.iter().find(|proven| order.contains(proven));
        if let Some(proven) = proven.filter(|proven| !keep.contains(proven)) {
            keep.pop();
            keep.push(proven);
        }
        for stem in order.iter().filter(|stem| !keep.contains(stem)) {
            let _ = fs::remove_file(self.path(stem, SNAPSHOT));
        }
        let kept: Vec<String> = keep.into_iter().cloned().collect();
        self.boots.forget_all_but(&kept);
        for (extension, most) in [(BAD, BAD_MAX), (TEMPORARY, 0)] {
            let mut files = with_extension(&self.directory, extension).unwrap_or_default();
            files.sort_by_key(|path| std::cmp::Reverse(modified(path)));
            for file in files.iter().skip(most) {
                let _ = fs::remove_file(file);
            }
        }
    }

    fn path(&self, stem: &str, extension: &str) -> PathBuf {
        self.directory.join(format!("{stem}.{extension}"))
    }
}

/// Keeps other processes away from `directory` for as long as the file is open.
fn lock(data_dir: &Path, directory: &Path) -> Result<File, DiskError> {
    let path = directory.join("lock");
    // A file that is there can be locked on a read-only disk too.
    let opened = File::create(&path).or_else(|reason| File::open(&path).map_err(|_| reason));
    let lock = opened.map_err(|reason| DiskError::Io { path, reason })?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(DiskError::InUse { path: data_dir.to_owned() }),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "this file system has no locks: give it to one data plane only");
        }
    }
    Ok(lock)
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("{0}")]
    Snapshot(#[from] SeedError),
}

/// A version from the file an operator gave.
pub(crate) fn read_seed(path: &Path) -> Result<(ConfigRef, Bytes), String> {
    let read = || -> Result<_, Fault> {
        let file = read_bounded(path)?;
        let (version, canonical) = decode(&file)?;
        Ok((version, Bytes::copy_from_slice(canonical)))
    };
    read().map_err(|fault| fault.to_string())
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut file = Vec::new();
    File::open(path)?.take(MAX_SEED_BYTES + 1).read_to_end(&mut file)?;
    Ok(file)
}

/// How far down written bytes are when the writer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// In the system's memory.
    Written,
    /// On the disk.
    Synced,
}

/// A directory that only this user can look into, with those above it.
pub(super) fn create_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// A file that only this user can read: configurations and keys are nobody else's.
pub(super) fn write_private(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    // What is left of an earlier attempt may have another mode.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    if durability == Durability::Synced {
        file.sync_all()?;
    }
    Ok(())
}

/// The snapshots there are, the latest written first.
fn snapshots(directory: &Path) -> io::Result<Vec<String>> {
    let mut files = with_extension(directory, SNAPSHOT)?;
    files.sort_by_key(|path| std::cmp::Reverse(modified(path)));
    Ok(files.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect())
}

fn with_extension(directory: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    Ok(paths)
}

fn modified(path: &Path) -> std::time::SystemTime {
    path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(std::time::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
