//! Tapes: recorded traffic, as it is written, kept and read.

pub mod record;
pub mod redact;
