//! The session record.

use std::sync::atomic::AtomicU64;
use std::sync::Arc;
use std::time::Duration;

use shadowcat_mcp::ProtocolVersion;

use crate::{Principal, SessionId};

/// What a session starts from.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The route it was opened on.
    pub route: Arc<str>,
    /// Whose it is.
    pub principal: Principal,
    /// The server behind it.
    pub upstream: UpstreamSession,
    /// What `initialize` agreed on.
    pub protocol_version: ProtocolVersion,
    /// `capabilities` of the client, as JSON text.
    pub client_capabilities: Arc<str>,
    /// `capabilities` of the server, as JSON text.
    pub server_capabilities: Arc<str>,
    /// The node that alone can serve it (a stdio child lives there); absent where any replica can.
    pub owner: Option<Owner>,
    /// Ends when unused for this long.
    pub idle_timeout: Duration,
    /// Cap on the route's sessions.
    pub max_per_route: u32,
}

/// The upstream's half of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSession {
    /// The upstream's name.
    pub name: Arc<str>,
    /// The id it minted, if it minted one.
    pub id: Option<Arc<str>>,
}

/// The node that holds something of a session that cannot move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The boot of a node (unique per boot).
    pub instance: Arc<str>,
}

/// A live session.
#[derive(Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Grows by one with each update.
    pub revision: u64,
    /// The route it was opened on.
    pub route: Arc<str>,
    /// Whose it is.
    pub principal: Principal,
    /// The server behind it.
    pub upstream: UpstreamSession,
    /// What `initialize` agreed on.
    pub protocol_version: ProtocolVersion,
    /// `capabilities` of the client, as JSON text.
    pub client_capabilities: Arc<str>,
    /// `capabilities` of the server, as JSON text.
    pub server_capabilities: Arc<str>,
    /// The node that alone can serve it.
    pub owner: Option<Owner>,
    /// Ends when unused for this long.
    pub idle_timeout: Duration,
    /// Unix time in milliseconds.
    pub created_at: u64,
    /// Unix time in milliseconds; written without a lock by every use.
    pub(crate) last_used: AtomicU64,
}
