//! Tapes: recorded traffic, as it is written, kept and read.
//!
//! | Module | Holds |
//! |---|---|
//! | [`record`] | what one record says |
//! | [`mod@line`] | a record as a line with its checksum |
//! | [`segment`] | many lines, open and sealed, and what is left of them when they are damaged |
//! | [`blob`] | messages that are kept apart because they are large |
//! | [`spool`] | a node's directory of segments, from recording to shipping |
//! | [`tape`] | a recording that is kept for good |
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use shadowcat_tape::line::Message;
//! use shadowcat_tape::record::{Kind, Record};
//! use shadowcat_tape::segment::{Scan, unseal};
//! use shadowcat_tape::spool::{Now, Spool, SpoolSettings};
//!
//! # let home = tempfile::tempdir()?;
//! # let dir = home.path().to_owned();
//! let now = Now { at: Duration::ZERO, wall: 1_800_000_000_000_000_000 };
//! let settings = SpoolSettings::new(dir, "00112233445566778899aabbccddeeff".to_owned());
//! let (mut writer, shelf, _recovery) = Spool::open(settings, now)?;
//! let record = Record { k: Kind::Msg, t: 250, m: Some("ping".into()), ..Record::default() };
//! writer.append(record, Some(Message::of(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)));
//! writer.end();
//!
//! let sealed = shelf.oldest(1).remove(0);
//! let unsealed = unseal(&shelf.read(&sealed.id)?, 2 * 1024 * 1024)?;
//! assert_eq!(Scan::new(&unsealed.plain).summarise()?.frames, 1);
//! shelf.remove(&sealed.id)?;
//! # Ok(())
//! # }
//! ```
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
