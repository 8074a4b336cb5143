//! Recorded traffic on this machine: tapes that were exported, and the spools of nodes that run here or ran.
//!
//! ```text
//! path --place--> tape or spool --parts--> its segments in order --read--> records and damage
//!                                                                     ├--judge--> what is wrong, what is lost, what there is
//!                                                                     └--contents, frame--> a conversation
//! ```
//!
//! Invariants:
//! - Nothing here writes, locks or removes: a spool may be in use, and what is shipped while it is read is no damage.
//! - Memory holds one segment and one message at a time, whatever a file claims to unpack to.
//! - Only regular files are opened: a pipe in a directory that somebody else made would hold the reader for ever.
//!
//! Not here: the formats themselves (`shadowcat-tape`), and how a conversation is shown (`shadowcatctl_cli::view`).

mod contents;
mod files;
mod frame;
mod judge;
mod listing;
mod parts;
mod place;
mod read;
mod tally;
mod verdict;

pub use contents::{Content, Contents, Selected};
pub(crate) use files::{message, words};
pub(crate) use frame::recorded;
pub use judge::{Judgement, State, judge};
pub use listing::{Listing, Row};
pub use parts::Part;
pub use place::{Kind, Place, Unusable};
pub use read::{Event, Origin, Refusals, read};
pub use tally::Tally;
pub use verdict::Verdict;
