//! Tapes: what nodes recorded, kept and found again.
//!
//! - [`blobs`]: where the bytes are.

pub mod blobs;
