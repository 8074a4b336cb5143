//! What a control plane can ask a node to do now. Every command gets one reply, before its deadline; none is repeated.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};
use shadowcat_proto::fleet::v1 as wire;
use shadowcat_proto::fleet::v1::command::Kind;
use shadowcat_proto::fleet::v1::command_reply::Kind as Reply;
use shadowcat_session::{PageRequest, Session, SessionId};
use shadowcat_upstream::{Call, Verb};
use tokio::time::timeout;

use crate::gateway::Control;
use crate::route::UpstreamRuntime;

/// A page of sessions when none is asked for by size.
const SESSIONS_DEFAULT: usize = 100;

/// The largest page: a reply is one message.
const SESSIONS_MAX: usize = 1_000;

/// Sessions that one command may end.
const ENDED_MAX: usize = 10_000;

/// Of a command's deadline this much is left for the reply to arrive.
const REPLY_ALLOWANCE: Duration = Duration::from_millis(100);

/// Ending a server's half of a session may take this long; nobody waits for it.
const UPSTREAM_END_MAX: Duration = Duration::from_secs(10);

/// Does what `command` says; the reply comes before its deadline, whatever happens.
pub(super) async fn obey(control: Control, command: wire::Command) -> wire::CommandReply {
    let allowed = Duration::from_millis(command.deadline_ms.into());
    let within = allowed.saturating_sub(REPLY_ALLOWANCE.min(allowed / 4));
    let done = match timeout(within, act(&control, command.kind)).await {
        Ok(done) => done,
        Err(_elapsed) => Err(format!("not done within {within:?}")),
    };
    wire::CommandReply { id: command.id, kind: Some(done.unwrap_or_else(Reply::Failed)) }
}

async fn act(control: &Control, kind: Option<Kind>) -> Result<Reply, String> {
    match kind {
        Some(Kind::ListSessions(which)) => list(control, which).await,
        Some(Kind::EndSessions(which)) => end(control, which).await,
        Some(Kind::Drain(wire::Drain {})) => {
            control.stop();
            control.shared.drain.announced().await;
            Ok(Reply::Draining(draining(control)))
        }
        Some(Kind::ExplainUpstreams(which)) => Ok(Reply::Upstreams(explain(control, &which.upstream))),
        None => Err("this node does not know the command; it may be older than the control plane".to_owned()),
    }
}

/// How long the drain that has begun may take.
pub(super) fn draining(control: &Control) -> wire::Draining {
    let grace = control.shared.drain.grace().as_millis();
    wire::Draining { grace_ms: u32::try_from(grace).unwrap_or(u32::MAX) }
}

async fn list(control: &Control, which: wire::ListSessions) -> Result<Reply, String> {
    let limit = if which.limit == 0 { SESSIONS_DEFAULT } else { SESSIONS_MAX.min(which.limit as usize) };
    let some = |text: String| (!text.is_empty()).then_some(text);
    let request = PageRequest { route: some(which.route), cursor: some(which.cursor), limit };
    let page = control.shared.store.list(request).await.map_err(|error| error.to_string())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let sessions = page.sessions.iter().map(|session| shown(session, now)).collect();
    Ok(Reply::Sessions(wire::SessionPage { sessions, next: page.next.unwrap_or_default() }))
}

fn shown(session: &Session, now: Duration) -> wire::Session {
    let age = now.saturating_sub(Duration::from_millis(session.created_at));
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    wire::Session {
        id: session.id.to_string(),
        route: session.route.to_string(),
        upstream: session.upstream.name.to_string(),
        principal: session.principal.to_string(),
        protocol_version: session.protocol_version.as_str().to_owned(),
        age_ms: millis(age),
        idle_timeout_ms: millis(session.idle_timeout),
        owner: session.owner.as_ref().map(|owner| owner.instance.to_string()).unwrap_or_default(),
    }
}

/// Ends sessions for everybody; the servers' halves are ended by this node, as far as it can, and not waited for.
async fn end(control: &Control, which: wire::EndSessions) -> Result<Reply, String> {
    if which.ids.len() > ENDED_MAX {
        return Err(format!("{} sessions at once are too many: end at most {ENDED_MAX}", which.ids.len()));
    }
    // What no gateway can have minted is not there any more either.
    let ids: Vec<_> = which.ids.iter().filter_map(|id| SessionId::parse(id).ok()).collect();
    let store = &control.shared.store;
    let sessions = store.get_many(&ids).await.map_err(|error| error.to_string())?;
    let ended = store.delete_many(&ids).await.map_err(|error| error.to_string())?;
    let runtime = control.running();
    let halves = sessions.into_iter().flatten().filter_map(|session| {
        let upstream = runtime.upstream(&session.upstream.name)?.clone();
        let id = HeaderValue::from_str(session.upstream.id.as_ref()?).ok()?;
        Some(async move { end_at(&upstream, id).await })
    });
    let all = join_all(halves.collect::<Vec<_>>());
    control.shared.tasks.spawn(async move { timeout(UPSTREAM_END_MAX, all).await });
    Ok(Reply::Ended(wire::EndedSessions { count: u32::try_from(ended).unwrap_or(u32::MAX) }))
}

async fn end_at(upstream: &UpstreamRuntime, session: HeaderValue) {
    let call = Call { verb: Verb::Delete, headers: HeaderMap::new(), session: Some(session), exchange: None };
    if let Err(error) = upstream.upstream.call(call).await {
        tracing::debug!(upstream = %upstream.name, %error, "upstream session not ended");
    }
}

fn explain(control: &Control, only: &str) -> wire::UpstreamStates {
    let runtime = control.running();
    let wanted = runtime.upstreams().filter(|upstream| only.is_empty() || *upstream.name == *only);
    let mut upstreams: Vec<_> = wanted.map(|upstream| health(upstream)).collect();
    upstreams.sort_by(|a, b| a.upstream.cmp(&b.upstream));
    wire::UpstreamStates { upstreams }
}

/// What this node sees of an upstream.
pub(super) fn health(upstream: &UpstreamRuntime) -> wire::UpstreamHealth {
    let status = upstream.upstream.status();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    wire::UpstreamHealth {
        upstream: upstream.name.to_string(),
        reachable: status.reachable,
        last_error: status.last_error.unwrap_or_default(),
        in_flight: count(status.in_flight),
        children: count(status.children),
        removed: false,
    }
}
