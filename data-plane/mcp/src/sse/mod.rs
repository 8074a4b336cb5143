//! `text/event-stream` both ways (HTML Living Standard, "Server-sent events", sections 9.2.5 and 9.2.6).
//!
//! A gateway mostly moves events as they are, so the [`Decoder`] finds where an event ends and hands out its lines as
//! they came: a slice of the chunk whenever the event lay in one chunk. What the lines say is read when it is asked for
//! or needed. Nothing here decodes UTF-8: the structure of a stream is ASCII, and bytes pass unchanged.

mod decoder;
mod encode;
mod event;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, TooLong};
pub use encode::{comment, encode};
pub use event::Event;
