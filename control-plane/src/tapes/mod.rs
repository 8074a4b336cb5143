//! Tapes: what nodes recorded, kept and found again.
//!
//! - [`blobs`]: where the bytes are.
//! - [`decode`]: a segment as rows of the index.
//! - [`index`]: which frames there are, and in which segment each is.

pub mod blobs;
mod decode;
pub mod index;
