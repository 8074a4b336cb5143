//! Segments: the unit in which records are kept, shipped and lost.
//!
//! An open segment is plain text, one record a line. A sealed one holds the same text in independent zstd frames of
//! whole lines, between a summary and a seek table that stand in skippable frames (RFC 8878, section 3.1.2), so that
//! `zstdcat` prints the plain text.
//!
//! Invariants:
//! - A record is never split over two frames.
//! - What is damaged is told with its place, and everything around it is still read.
//! - Nothing is unpacked beyond a bound that the caller sets.
//!
//! Not here: files. Everything is bytes in memory, because a segment is small (1 MiB on a node, 8 MiB on a tape).

mod contents;
mod critical;
mod id;
mod scan;
mod seal;
mod seek;
mod summary;
#[cfg(test)]
mod tests;
mod unseal;

pub use self::contents::{CONTENTS_BYTES_MAX, Contents};
pub use self::critical::Refused;
pub use self::id::{InvalidInstance, SegmentId};
pub use self::scan::{Found, Line, Scan};
pub(crate) use self::seal::Packing;
pub use self::seal::{FRAME_PLAIN_BYTES, seal, seal_as};
pub use self::summary::Summary;
pub use self::unseal::{FrameDamage, Holding, UnsealError, Unsealed, frame_holding, unseal};
