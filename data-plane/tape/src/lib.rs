//! Tapes: recorded traffic, as it is written, kept and read.
//!
//! | Module | Holds |
//! |---|---|
//! | [`record`] | what one record says |
//! | [`line`] | a record as a line with its checksum |
//!
//! Everything here blocks and nothing here reads a clock: who calls brings the time and the thread.

mod borrow;
pub mod line;
pub mod record;
pub mod segment;
#[cfg(test)]
mod testing;
