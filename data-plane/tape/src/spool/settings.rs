//! What a spool is told when it is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::SpoolError;
use crate::segment::SegmentId;

/// Bytes that sealed segments and their blobs take on disk, unless the settings say otherwise. At 50 frames a second of
/// 1.2 KiB, packed to a quarter, it is eight hours without a control plane.
pub const DEFAULT_MAX_BYTES: u64 = 512 * 1024 * 1024;

/// How long a segment is kept, unless the settings say otherwise. What a control plane did not take for a day is not
/// waited for.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Plain bytes at which a segment is sealed: four frames of zstd, and what one message on the way to the control plane
/// may cost.
pub const DEFAULT_SEAL_BYTES: usize = 1024 * 1024;

/// How long a segment is open at most: what a power failure may take, and how far behind the fleet's tapes are.
pub const DEFAULT_SEAL_AFTER: Duration = Duration::from_secs(2);

/// Segments that the bound must hold at least: the one that is written, and one to drop for it.
const SEGMENTS_MIN: u64 = 2;

/// Told after each segment that was sealed, and when those that could not be read may be tried again, on the writer's
/// thread. It must not block.
pub type OnSealed = Arc<dyn Fn() + Send + Sync>;

/// A spool's settings.
#[derive(Clone)]
pub struct SpoolSettings {
    /// Its directory, made if it is not there. Nobody else writes in it.
    pub dir: PathBuf,
    /// This boot of the node: 32 lower-case hexadecimal digits, drawn at random.
    pub instance: String,
    /// The node's name; empty for one that is no member of a fleet.
    pub node: String,
    /// Program and version, as in `shadowcat 0.1.0`.
    pub created_by: String,
    /// Which key makes the tags of what is blotted out, as in `head.redaction_key`.
    pub redaction_key: String,
    /// Bytes that sealed segments and blobs take at most. Beyond it the oldest segment is dropped and a `gap`
    /// (`spool_full`) says so.
    pub max_bytes: u64,
    /// How old a segment becomes at most. Beyond it it is dropped and a `gap` (`spool_old`) says so.
    pub max_age: Duration,
    /// Plain bytes at which a segment is sealed.
    pub seal_bytes: usize,
    /// How long a segment is open at most.
    pub seal_after: Duration,
    /// Who wants to know that there is something to take.
    pub on_sealed: Option<OnSealed>,
}

impl SpoolSettings {
    /// The defaults for an instance and its directory.
    #[must_use]
    pub fn new(dir: PathBuf, instance: String) -> Self {
        Self {
            dir,
            instance,
            node: String::new(),
            created_by: concat!("shadowcat ", env!("CARGO_PKG_VERSION")).to_owned(),
            redaction_key: String::new(),
            max_bytes: DEFAULT_MAX_BYTES,
            max_age: DEFAULT_MAX_AGE,
            seal_bytes: DEFAULT_SEAL_BYTES,
            seal_after: DEFAULT_SEAL_AFTER,
            on_sealed: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), SpoolError> {
        SegmentId::new(&self.instance, 1)?;
        let least = (self.seal_bytes as u64).saturating_mul(SEGMENTS_MIN);
        if self.max_bytes < least {
            return Err(SpoolError::TooSmall { max_bytes: self.max_bytes, least });
        }
        Ok(())
    }
}

impl fmt::Debug for SpoolSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolSettings")
            .field("dir", &self.dir)
            .field("instance", &self.instance)
            .field("node", &self.node)
            .field("max_bytes", &self.max_bytes)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}
