//! Sessions of MCP clients. The control plane keeps none: it asks the nodes, all at once, and says who did not answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use shadowcat_proto::admin::v1::sessions_server::Sessions;
use shadowcat_proto::admin::v1::{
    EndSessionsRequest, EndSessionsResponse, GetSessionRequest, ListSessionsRequest, ListSessionsResponse, Session,
};
use shadowcat_proto::fleet::v1::{EndSessions, ListSessions, SessionPage, command, command_reply};
use tonic::{Request, Response, Status};

use super::authenticate::Caller;
use super::{ASK_DEADLINE, Admin, fleet_of, page, refused};
use crate::fleet::LiveNode;
use crate::store::{Outcome, Role};

/// Sessions of a page unless asked otherwise.
const PAGE_DEFAULT: u32 = 100;

/// Sessions that are ended by one call.
const ENDED_MAX: usize = 1000;

/// What is told of a session's id to those who may not end one: enough to tell sessions apart, and nothing to speak for one with.
const ID_CHARS_SHOWN: usize = 8;

/// Sessions that the record of their end names.
const IDS_RECORDED: usize = 3;

/// Pages of one node that are gone through for one session: ten thousand sessions in all.
const PAGES_MAX: usize = 10;

#[tonic::async_trait]
impl Sessions for Admin {
    async fn list(&self, request: Request<ListSessionsRequest>) -> Result<Response<ListSessionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let ListSessionsRequest { fleet, route, limit, cursor } = request.into_inner();
        let limit = page(limit, PAGE_DEFAULT);
        let cursors = Cursors::read(&cursor)?;
        let mut nodes = self.asked(fleet_of(&fleet)?);
        nodes.retain(|node| cursors.of(node).is_some());
        let (told, silent) = ask(&nodes, &cursors, &route, limit).await;
        if told.sessions.len() <= limit as usize {
            return Ok(Response::new(shown(&caller, ListSessionsResponse { silent, ..told })));
        }
        // More than was asked for: each gets its share, and at least one, so that the list goes on.
        nodes.retain(|node| !silent.contains(&node.name));
        let share = (limit / u32::try_from(nodes.len()).unwrap_or(u32::MAX)).max(1);
        let (told, fallen_silent) = ask(&nodes, &cursors, &route, share).await;
        let told = ListSessionsResponse { silent: [silent, fallen_silent].concat(), ..told };
        Ok(Response::new(shown(&caller, told)))
    }

    async fn get(&self, request: Request<GetSessionRequest>) -> Result<Response<Session>, Status> {
        let caller = Caller::of(&request)?;
        let GetSessionRequest { fleet, id } = request.into_inner();
        let nodes = self.asked(fleet_of(&fleet)?);
        let found = join_all(nodes.iter().map(|node| find(node, &id))).await;
        found
            .into_iter()
            .flatten()
            .next()
            .map(|mut session| {
                shorten(&caller, &mut session);
                Response::new(session)
            })
            .ok_or_else(|| Status::not_found("no node that answers knows this session: it has ended, or never was"))
    }

    async fn end(&self, request: Request<EndSessionsRequest>) -> Result<Response<EndSessionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let EndSessionsRequest { fleet, ids } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        if !(1..=ENDED_MAX).contains(&ids.len()) {
            return Err(Status::invalid_argument("name 1 to 1000 sessions"));
        }
        let by = caller.does(fleet, named(&ids));
        self.store.record(by, Outcome::Done, "").await.map_err(refused)?;
        let nodes = self.asked(fleet);
        let asks = nodes.iter().map(|node| {
            let end = EndSessions { ids: ids.clone() };
            async move { (node, node.ask(command::Kind::EndSessions(end), ASK_DEADLINE).await) }
        });
        let mut ended = EndSessionsResponse::default();
        for (node, reply) in join_all(asks).await {
            match reply {
                Ok(command_reply::Kind::Ended(of_node)) => ended.count = ended.count.saturating_add(of_node.count),
                Ok(_) | Err(_) => ended.silent.push(node.name.clone()),
            }
        }
        Ok(Response::new(ended))
    }
}

impl Admin {
    /// The nodes that can be asked.
    fn asked(&self, fleet: &str) -> Vec<Arc<LiveNode>> {
        self.hub.known(fleet).map(|fleet| fleet.nodes()).unwrap_or_default()
    }
}

/// Sessions as they are recorded: the first by the beginning of their ids.
fn named(ids: &[String]) -> String {
    let first: Vec<&str> = ids.iter().take(IDS_RECORDED).map(|id| beginning(id)).collect();
    let more = if ids.len() > IDS_RECORDED { format!(" and {} more", ids.len() - IDS_RECORDED) } else { String::new() };
    format!("session {}{more}", first.join(", "))
}

fn beginning(id: &str) -> &str {
    &id[..id.floor_char_boundary(ID_CHARS_SHOWN)]
}

/// A page as the caller may see it.
fn shown(caller: &Caller, mut page: ListSessionsResponse) -> ListSessionsResponse {
    for session in &mut page.sessions {
        shorten(caller, session);
    }
    page
}

/// Leaves the beginning of a session's id to a caller who may not end it.
fn shorten(caller: &Caller, session: &mut Session) {
    if let Some(session) = session.session.as_mut().filter(|_| !caller.is(Role::Operator)) {
        session.id.truncate(beginning(&session.id).len());
    }
}

/// Where a page ended, by node. Nodes that share a store go through it side by side, so that what they all name is told once;
/// a node that is not here has nothing more. As JSON.
#[derive(Debug, Default)]
struct Cursors(Option<BTreeMap<String, String>>);

impl Cursors {
    fn read(text: &str) -> Result<Self, Status> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let cursors = serde_json::from_str(text);
        let cursors =
            cursors.map_err(|_| Status::invalid_argument("no cursor of this list: give what `next` said, or none"))?;
        Ok(Self(Some(cursors)))
    }

    fn of(&self, node: &LiveNode) -> Option<String> {
        match &self.0 {
            None => Some(String::new()),
            Some(cursors) => cursors.get(&node.name).cloned(),
        }
    }
}

/// A page of every node, and who was silent. Nodes that share a store name the same sessions: each is told once.
async fn ask(
    nodes: &[Arc<LiveNode>],
    cursors: &Cursors,
    route: &str,
    limit: u32,
) -> (ListSessionsResponse, Vec<String>) {
    let asks = nodes.iter().map(|node| {
        let list = ListSessions { route: route.to_owned(), limit, cursor: cursors.of(node).unwrap_or_default() };
        async move { (node, node.ask(command::Kind::ListSessions(list), ASK_DEADLINE).await) }
    });
    let (mut known, mut more, mut silent) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (node, reply) in join_all(asks).await {
        let Ok(command_reply::Kind::Sessions(SessionPage { sessions, next })) = reply else {
            silent.push(node.name.clone());
            continue;
        };
        for session in sessions {
            let of_node = Session { session: Some(session.clone()), node: node.name.clone() };
            known.entry(session.id).or_insert(of_node);
        }
        if !next.is_empty() {
            more.insert(node.name.clone(), next);
        }
    }
    let next = if more.is_empty() { String::new() } else { serde_json::json!(more).to_string() };
    (ListSessionsResponse { sessions: known.into_values().collect(), next, ..ListSessionsResponse::default() }, silent)
}

/// Goes through a node's sessions for one.
async fn find(node: &Arc<LiveNode>, id: &str) -> Option<Session> {
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        let list = ListSessions { route: String::new(), limit: super::PAGE_MAX, cursor };
        let reply = node.ask(command::Kind::ListSessions(list), ASK_DEADLINE).await;
        let Ok(command_reply::Kind::Sessions(SessionPage { sessions, next })) = reply else { return None };
        if let Some(session) = sessions.into_iter().find(|session| session.id == id) {
            return Some(Session { session: Some(session), node: node.name.clone() });
        }
        if next.is_empty() {
            return None;
        }
        cursor = next;
    }
    None
}
