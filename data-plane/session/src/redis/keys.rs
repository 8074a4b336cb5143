//! Names of keys in Redis. `scripts/prelude.lua` builds the others; the two files must agree.

use crate::{CountOf, SessionId, StreamId};

/// Before every key. The braces are a hash tag: a Redis Cluster would keep all of it on one node.
const PREFIX: &str = "{shadowcat}:";

/// A stream, wherever streams of many sessions are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StreamKey {
    pub(super) session: SessionId,
    pub(super) stream: StreamId,
}

impl StreamKey {
    pub(super) fn new(session: &SessionId, stream: &StreamId) -> Self {
        Self { session: *session, stream: *stream }
    }

    /// The hash that says what the stream is and where it stands.
    pub(super) fn head(&self) -> String {
        format!("{PREFIX}stream:{}:{}", self.session, self.stream)
    }

    /// The Redis stream with its events.
    pub(super) fn events(&self) -> String {
        format!("{PREFIX}events:{}:{}", self.session, self.stream)
    }
}

/// The hash of a session.
pub(super) fn session(id: &SessionId) -> String {
    format!("{PREFIX}session:{id}")
}

/// The sorted set of a session's streams, scored by when they ended.
pub(super) fn streams(id: &SessionId) -> String {
    format!("{PREFIX}streams:{id}")
}

/// The lease of a boot of a node.
pub(super) fn node(instance: &str) -> String {
    format!("{PREFIX}node:{instance}")
}

/// The sorted set of a scope's sessions, scored by when they expire.
pub(super) fn index(of: CountOf<'_>) -> String {
    match of {
        CountOf::All => format!("{PREFIX}sessions"),
        CountOf::Route(route) => format!("{PREFIX}sessions:route:{route}"),
        CountOf::Principal(principal) => format!("{PREFIX}sessions:principal:{}", principal.name()),
    }
}

/// A key this node may have read, and Redis says has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Session(SessionId),
    Stream(StreamKey),
}

impl Changed {
    /// `None` for keys nobody here keeps anything of.
    pub(super) fn parse(key: &[u8]) -> Option<Self> {
        let key = std::str::from_utf8(key).ok()?.strip_prefix(PREFIX)?;
        if let Some(id) = key.strip_prefix("session:") {
            return SessionId::parse(id).ok().map(Self::Session);
        }
        let (session, stream) = key.strip_prefix("stream:")?.split_once(':')?;
        let session = SessionId::parse(session).ok()?;
        Some(Self::Stream(StreamKey { session, stream: StreamId::parse(stream).ok()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Changed, StreamKey, session, streams};
    use crate::{SessionId, StreamId};

    #[test]
    fn a_changed_key_is_told_from_its_name() {
        let id = SessionId::random();
        let stream = StreamKey::new(&id, &StreamId::random());
        assert_eq!(Changed::parse(session(&id).as_bytes()), Some(Changed::Session(id)));
        assert_eq!(Changed::parse(stream.head().as_bytes()), Some(Changed::Stream(stream)));
        for other in [stream.events(), streams(&id), "session:x".into(), String::new()] {
            assert_eq!(Changed::parse(other.as_bytes()), None, "{other}");
        }
    }
}
