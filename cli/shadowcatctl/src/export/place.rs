//! A name that is taken once what belongs there is whole.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::Failure;

/// Recorded traffic is for its owner's eyes.
const FILE_MODE: u32 = 0o600;

/// Where an export comes to be. Dropped before it is kept, it leaves nothing behind.
#[derive(Debug)]
pub struct Place {
    target: PathBuf,
    partial: PathBuf,
    kept: bool,
}

impl Place {
    /// The place `target`, which nothing has yet.
    ///
    /// # Errors
    /// It is taken, or is no name of a file.
    pub fn new(target: &Path) -> Result<Self, Failure> {
        let name = target.file_name().ok_or_else(|| {
            Failure::usage(format!("{} is no name of a file; give one such as refunds.tape", target.display()))
        })?;
        free(target)?;
        // Beside it, so that it can be renamed, and with the process's number, so that two exports do not meet.
        let partial = target.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
        Ok(Self { target: target.to_owned(), partial, kept: false })
    }

    /// Where it is written.
    #[must_use]
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// A file to be written.
    pub(super) fn file(&self) -> Result<File, Failure> {
        let opened = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&self.partial);
        opened.map_err(|why| self.failure(&why))
    }

    /// Why it cannot be written.
    pub(super) fn failure(&self, why: &dyn std::fmt::Display) -> Failure {
        Failure::failed(format!("cannot write {}: {why}", self.target.display()))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// Something else took the name meanwhile, or it cannot be renamed.
    pub fn keep(mut self) -> Result<(), Failure> {
        free(&self.target)?;
        fs::rename(&self.partial, &self.target).map_err(|why| self.failure(&why))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed is hidden, and named for what it is.
            let _ = match self.partial.is_dir() {
                true => fs::remove_dir_all(&self.partial),
                false => fs::remove_file(&self.partial),
            };
        }
    }
}

fn free(target: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(target) {
        Err(_) => Ok(()),
        Ok(_) => Err(Failure::usage(format!(
            "{} is there already, and nothing is written over; give another name, or remove it",
            target.display()
        ))),
    }
}
