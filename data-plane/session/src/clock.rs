//! The clock sessions are dated by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds. Nodes' clocks are never compared with each other: what Redis dates, Redis's clock dates.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// A duration in whole milliseconds; half a billion years at most.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
