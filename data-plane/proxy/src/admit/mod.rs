//! The second room of a call: what its head and its envelope must satisfy before anything is done for it.

mod cors;
mod door;
mod message;

pub(crate) use cors::{asking_page, preflight, share};
pub(crate) use door::{Door, host_of};
pub(crate) use message::{body, message};
