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
//! ```
//! # use shadowcat_session::{MemoryStore, NewSession, Principal, SessionStore, StoreOptions, UpstreamSession};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), shadowcat_session::StoreError> {
//! let store = MemoryStore::new(StoreOptions::new("node-1"));
//! let session = store
//!     .create(NewSession {
//!         route: "workbench".into(),
//!         principal: Principal::named("alice"),
//!         upstream: UpstreamSession { name: "files".into(), id: Some("minted-by-the-server".into()) },
//!         protocol_version: shadowcat_mcp::ProtocolVersion::LATEST_LEGACY,
//!         client_capabilities: "{}".into(),
//!         server_capabilities: r#"{"tools":{}}"#.into(),
//!         owner: None,
//!         idle_timeout: std::time::Duration::from_secs(300),
//!         max_per_route: 1_000,
//!     })
//!     .await?;
//! let hot = store.peek(&session.id).expect("it was made here");
//! assert_eq!(hot.principal, Principal::named("alice"));
//! store.delete(&session.id).await?;
//! assert!(store.get(&session.id).await?.is_none());
//! # Ok(())
//! # }
//! ```
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
pub use crate::redis::{InvalidRedisUrl, RedisStore};
pub use crate::session::{NewSession, Owner, Session, UpstreamSession};
pub use crate::store::{CountOf, Page, PageRequest, SessionStore, StoreError};
pub use crate::stream::{Event, StreamHead, StreamPage, StreamState};
