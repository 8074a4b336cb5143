//! Where configurations come from: for now, a local file.

mod file;

pub use file::watch_file;
