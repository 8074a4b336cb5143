//! A session as a Redis hash.

use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;

use crate::clock::millis;
use crate::session::LastUsed;
use crate::{Owner, Principal, Session, SessionId, StoreError, UpstreamSession};

/// Fields, in the order in which they are asked for. What is absent is empty: no id or name is.
pub(super) const FIELDS: [&str; 11] = [
    "revision",
    "route",
    "principal",
    "upstream",
    "upstream_id",
    "protocol_version",
    "client_capabilities",
    "server_capabilities",
    "owner",
    "idle_timeout",
    "created_at",
];

/// How long a use may go unnoted in Redis: an eighth of the idle timeout, so that a hot session costs eight writes per
/// timeout, but a second at least. Redis keeps a session this much longer than its timeout, so that one which is only used on
/// a replica's hot path never expires under it.
pub(super) fn touch_interval(idle_timeout: Duration) -> Duration {
    (idle_timeout / 8).max(Duration::from_secs(1))
}

/// How long Redis keeps a session after a noted use, in milliseconds.
pub(super) fn ttl(idle_timeout: Duration) -> u64 {
    millis(idle_timeout.saturating_add(touch_interval(idle_timeout)))
}

/// Adds field, value, field, value … of a new record.
pub(super) fn write(session: &Session, command: &mut Cmd) {
    command.arg("route").arg(&*session.route);
    command.arg("principal").arg(session.principal.name());
    command.arg("created_at").arg(session.created_at);
    write_changeable(session, session.revision, command);
}

/// Adds field, value, field, value … of what an update may change.
pub(super) fn write_changeable(session: &Session, revision: u64, command: &mut Cmd) {
    command.arg("revision").arg(revision);
    command.arg("upstream").arg(&*session.upstream.name);
    command.arg("upstream_id").arg(session.upstream.id.as_deref().unwrap_or_default());
    command.arg("protocol_version").arg(session.protocol_version.as_str());
    command.arg("client_capabilities").arg(&*session.client_capabilities);
    command.arg("server_capabilities").arg(&*session.server_capabilities);
    command.arg("owner").arg(session.owner.as_ref().map_or("", |owner| &*owner.instance));
    command.arg("idle_timeout").arg(millis(session.idle_timeout));
}

/// What Redis holds of a session, as its [`FIELDS`].
pub(super) type Fields = [Option<String>; FIELDS.len()];

/// Reads a record; `None` if there is none.
///
/// # Errors
/// If another version of the gateway wrote it in a way this one does not understand.
pub(super) fn read(id: SessionId, fields: Fields, last_used: u64) -> Result<Option<Session>, StoreError> {
    let [Some(revision), rest @ ..] = fields else { return Ok(None) };
    let rest = rest.map(Option::unwrap_or_default);
    let [route, principal, upstream, upstream_id, version, client, server, owner, idle_timeout, created_at] = rest;
    let unreadable = |field: &str| StoreError::Unavailable(format!("field {field} of session {id} cannot be read"));
    let present = |text: String| (!text.is_empty()).then(|| Arc::from(text));
    Ok(Some(Session {
        id,
        revision: revision.parse().map_err(|_| unreadable("revision"))?,
        route: route.into(),
        principal: Principal::named(&principal),
        upstream: UpstreamSession { name: upstream.into(), id: present(upstream_id) },
        protocol_version: version.parse().map_err(|_| unreadable("protocol_version"))?,
        client_capabilities: client.into(),
        server_capabilities: server.into(),
        owner: present(owner).map(|instance| Owner { instance }),
        idle_timeout: idle_timeout.parse().map(Duration::from_millis).map_err(|_| unreadable("idle_timeout"))?,
        created_at: created_at.parse().map_err(|_| unreadable("created_at"))?,
        last_used: LastUsed::at(last_used),
    }))
}
