//! A node's spool: segments on disk from when they are recorded until the control plane has them.
//!
//! One thread owns the [`Writer`] and may block on the disk; any other holds the [`Shelf`], takes sealed segments from
//! it, and removes them when they are durable elsewhere. Dropping the writer is a crash: [`Writer::end`] ends in order.
//!
//! Invariants:
//! - No error of the disk is fatal, and none is silent: what is lost is a `gap` record in the next segment that can be
//!   written.
//! - A sealed segment is complete: it got its name after its bytes were on the disk.
//! - The directory never holds more than [`SpoolSettings::max_bytes`] and one segment, what cannot be read included. The
//!   oldest goes first, before it what was set aside, and a `gap` says so.
//! - Nothing but these bounds removes a segment that nobody has taken or given up.
//! - A segment that cannot be read or removed keeps no other from being taken.
//! - There is no ledger that could disagree with the files. What is known at start is read from names and first bytes.
//!
//! Not here: clocks and threads (who calls brings both), what is recorded, and shipping.

mod books;
mod files;
mod gaps;
mod leftovers;
mod mend;
mod open;
mod recovery;
mod room;
mod settings;
mod shelf;
#[cfg(test)]
mod tests;
mod trouble;
mod writer;

use std::fs::TryLockError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use self::files::set_aside_of;
pub use self::recovery::Recovery;
pub use self::settings::{
    DEFAULT_MAX_AGE, DEFAULT_MAX_BYTES, DEFAULT_SEAL_AFTER, DEFAULT_SEAL_BYTES, OnSealed, SpoolSettings,
};
pub use self::shelf::{Blob, Sealed, Shelf};
pub use self::writer::{Counts, Writer};
use crate::directory::Directory;
use crate::segment::InvalidInstance;

/// The name of the file that keeps a second process out.
const LOCK: &str = "lock";

/// Why a segment is missing that was set aside, as a `gap` says it.
const UNREADABLE: &str = "unreadable";

/// The time, as who calls has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the instance's clock began, by a clock that only goes forward. The `t` of records counts from the same
    /// moment.
    pub at: Duration,
    /// Nanoseconds since 1970 (UTC).
    pub wall: u64,
}

impl Now {
    /// Microseconds since the instance's clock began.
    pub(crate) fn micros(&self) -> u64 {
        u64::try_from(self.at.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The directory cannot be made or listed.
    #[error("the spool {dir} cannot be used: {source}")]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process writes there.
    #[error("the spool {dir} is in use by another process: give each node a data directory of its own")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The instance's id is none.
    #[error(transparent)]
    Instance(#[from] InvalidInstance),
    /// The instance has segments there already. It must be drawn anew at each start.
    #[error("the spool {dir} has segments of the instance {instance} already: draw a new one at each start")]
    InstanceTaken {
        /// The directory.
        dir: PathBuf,
        /// The instance.
        instance: String,
    },
    /// The bound is too small to hold what must be written before anything can be dropped.
    #[error("a spool of {max_bytes} bytes is too small: it holds at least {least}")]
    TooSmall {
        /// The bound that was asked for.
        max_bytes: u64,
        /// The least.
        least: u64,
    },
}

/// A node's spool.
#[derive(Debug)]
pub struct Spool;

impl Spool {
    /// Opens a node's directory, and seals what earlier boots left open in it.
    ///
    /// # Errors
    /// [`SpoolError`] for a directory that cannot be used and settings that make no sense; never for what lies in it.
    pub fn open(settings: SpoolSettings, now: Now) -> Result<(Writer, Arc<Shelf>, Recovery), SpoolError> {
        settings.check()?;
        let unusable = |source| SpoolError::Unusable { dir: settings.dir.clone(), source };
        let directory = Directory::create(&settings.dir).map_err(unusable)?;
        let lock = directory.lock_file(LOCK).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SpoolError::InUse { dir: settings.dir }),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let leftovers = leftovers::list(&directory).map_err(unusable)?;
        if leftovers.has_instance(&settings.instance) {
            let SpoolSettings { dir, instance, .. } = settings;
            return Err(SpoolError::InstanceTaken { dir, instance });
        }
        let recovered = recovery::recover(&directory, leftovers, &settings, now);
        let shelf = Arc::new(Shelf::new(directory, lock, settings.on_sealed.clone(), recovered.found));
        let counts = Counts { frames_lost: recovered.told.missing, ..Counts::default() };
        let writer = Writer::new(settings, Arc::clone(&shelf), recovered.gaps, counts, now);
        Ok((writer, shelf, recovered.told))
    }
}
