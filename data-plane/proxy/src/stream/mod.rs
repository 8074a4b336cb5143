//! The way back: the answer reaches the client as it comes.
//!
//! Who waits for whom: hyper polls a [`GatewayBody`] only while the client's socket takes bytes, the body polls the upstream only
//! then, and so an upstream is never read faster than its client reads. Nothing here buffers more than one read of the upstream.

mod account;
mod answer;
mod body;
mod detached;
mod event_log;
mod events;
mod resume;

pub(crate) use account::Account;
pub(crate) use answer::{Answer, gather};
pub(crate) use body::GatewayBody;
pub(crate) use detached::Detached;
pub(crate) use event_log::EventLog;
pub(crate) use resume::resume;
