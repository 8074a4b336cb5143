//! Sessions: who a client is talking to, on whichever replica it lands, and what it has not read yet.
//!
//! [`SessionStore`] is the seam. [`MemoryStore`] serves one node; [`RedisStore`] lets replicas share sessions and event
//! logs, and keeps a local copy of hot ones so that a call costs no round trip.
//!
//! Invariants:
//! - A session is bound to its principal and route when it is created; neither ever changes.
//! - Every operation ends within 250 ms, with an answer or with [`StoreError`]; nothing waits for a store that is away.
//! - Every map, queue and log is bounded; the bounds and their reasons are in [`limits`].
//! - A stream has one writer at a time; an append by a former one is refused.
//!
//! Not here: who may use a session (the proxy compares principals and routes), and anything about HTTP.

mod clock;
mod hash;
mod id;
pub mod limits;
mod memory;
mod metrics;
mod options;
mod principal;
mod redis;
mod session;
mod store;
mod stream;

pub use crate::id::{EventId, InvalidId, SessionId, StreamId};
pub use crate::memory::MemoryStore;
pub use crate::metrics::StoreMetrics;
pub use crate::options::StoreOptions;
pub use crate::principal::Principal;
pub use crate::redis::RedisStore;
pub use crate::session::{NewSession, Owner, Session, UpstreamSession};
pub use crate::store::{CountOf, Page, PageRequest, SessionStore, StoreError};
pub use crate::stream::{Event, StreamHead, StreamPage, StreamState};
