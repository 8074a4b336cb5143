//! The session record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shadowcat_mcp::ProtocolVersion;

use crate::clock::millis;
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
    /// Ends when unused for this long. A store that replicas share may let it live an eighth (at least a second) longer, but
    /// never ends it earlier.
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

/// A live session. To change one, clone it, change the clone and hand it to [`update`](crate::SessionStore::update).
#[derive(Debug, Clone)]
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
    pub(crate) last_used: LastUsed,
}

impl Session {
    /// The first revision of a session that is used at `now` (Unix time in milliseconds), for stores to keep.
    #[must_use]
    pub fn begin(id: SessionId, new: NewSession, now: u64) -> Self {
        Self {
            id,
            revision: 1,
            route: new.route,
            principal: new.principal,
            upstream: new.upstream,
            protocol_version: new.protocol_version,
            client_capabilities: new.client_capabilities,
            server_capabilities: new.server_capabilities,
            owner: new.owner,
            idle_timeout: new.idle_timeout,
            created_at: now,
            last_used: LastUsed::at(now),
        }
    }

    /// When this node last knew it used. Unix time in milliseconds.
    #[must_use]
    pub fn last_used(&self) -> u64 {
        self.last_used.0.load(Ordering::Relaxed)
    }

    /// Notes a use at `now` (Unix time in milliseconds).
    pub fn touch(&self, now: u64) {
        // Calls of one session in the same millisecond share the cache line without writing to it.
        if self.last_used() < now {
            self.last_used.0.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Whether nobody used it for its idle timeout, as far as this node knows.
    #[must_use]
    pub fn is_expired(&self, now: u64) -> bool {
        now.saturating_sub(self.last_used()) >= millis(self.idle_timeout)
    }
}

/// Unix time in milliseconds, written without a lock by every use.
#[derive(Debug)]
pub(crate) struct LastUsed(AtomicU64);

impl LastUsed {
    pub(crate) fn at(millis: u64) -> Self {
        Self(AtomicU64::new(millis))
    }
}

impl Clone for LastUsed {
    fn clone(&self) -> Self {
        Self::at(self.0.load(Ordering::Relaxed))
    }
}
