//! Beside the way of a call: what passes is recorded.
//!
//! A [`Tap`] travels with a call and hands references to a bounded [`queue`]; one [`thread`], which gives way to calls, does everything
//! else: it reads what was handed over, blots out secrets, links operations, encodes, and writes the spool.
//!
//! | Part | Does |
//! |---|---|
//! | [`tap`], [`call`] | what a call hands over, and what all its frames share |
//! | [`queue`] | the way to the thread: bounded, lock-free, rarely a wake-up |
//! | [`thread`] | drains the queue, keeps the spool's times |
//! | [`frame`], [`facts`], [`links`], [`secrets`], [`names`] | from what was handed over to a record: what a message says, which operation it belongs to, what must go |
//! | [`paused`] | calls whose answer comes in another exchange |
//! | [`children`] | what servers that are child processes do and say, beside all calls |
//! | [`child_frames`], [`child_tapes`] | the same for them |
//! | [`recorder`] | the whole, as the gateway holds it |
//!
//! **Invariants.** Traffic never waits for the recorder. What does not fit the queue is counted, and the record says that it is
//! missing. Nothing is written before secrets have been blotted out. Only routes whose configuration asks for it are recorded.

mod call;
mod child_frames;
mod child_tapes;
mod children;
mod facts;
mod frame;
mod key;
mod links;
mod live;
mod names;
mod operation;
mod paused;
mod queue;
mod recorder;
mod secrets;
mod sink;
mod spool;
mod start;
mod tap;
#[cfg(test)]
mod testing;
mod thread;

pub(crate) use call::RecordedRoute;
pub(crate) use children::{ChildWatch, Terms};
pub(crate) use live::Live;
pub(crate) use recorder::Recorder;
pub use sink::TapeSink;
pub(crate) use spool::Records;
pub use spool::SpoolSettings;
pub use start::RecordError;
pub(crate) use start::{To, start};
pub(crate) use tap::{Gathering, Opening, Tap};
