//! Sessions: who a client is talking to, on whichever replica it lands, and what it has not read yet.

mod id;
mod session;
mod store;
mod stream;

pub use id::{Principal, SessionId, StreamId};
pub use session::{NewSession, Owner, Session, UpstreamSession};
pub use store::{CountOf, Page, PageRequest, SessionStore, StoreError};
pub use stream::{Event, StreamHead, StreamPage, StreamState};
