//! Tapes: recorded traffic, as it is written, kept and read.
//!
//! | Module | Holds |
//! |---|---|
//! | [`record`] | what one record says |
//! | [`line`] | a record as a line with its checksum |
//! | [`segment`] | many lines, open and sealed, and what is left of them when they are damaged |
//! | [`blob`] | messages that are kept apart because they are large |
//! | [`spool`] | a node's directory of segments, from recording to shipping |
//! | [`tape`] | a recording that is kept for good |
//!
//! Everything here blocks and nothing here reads a clock: who calls brings the time and the thread.

pub mod blob;
mod borrow;
mod directory;
pub mod line;
pub mod record;
pub mod segment;
pub mod spool;
pub mod tape;
#[cfg(test)]
mod testing;
