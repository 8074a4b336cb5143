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
use crate::fleet::{AskError, LiveNode};
use crate::store::Outcome;

/// Sessions of a page unless asked otherwise.
const PAGE_DEFAULT: u32 = 100;

/// Sessions that are ended by one call.
const ENDED_MAX: usize = 1000;

/// Pages of one node that are gone through for one session: ten thousand sessions in all.
const PAGES_MAX: usize = 10;

#[tonic::async_trait]
impl Sessions for Admin {
    async fn list(&self, request: Request<ListSessionsRequest>) -> Result<Response<ListSessionsResponse>, Status> {
        let ListSessionsRequest { fleet, route, limit, cursor } = request.into_inner();
        let limit = page(limit, PAGE_DEFAULT);
        let cursor = Cursor::read(&cursor)?;
        let mut nodes = self.asked(fleet_of(&fleet)?);
        nodes.retain(|node| node.name >= cursor.node);
        let asks = nodes.iter().map(|node| {
            let at = if node.name == cursor.node { cursor.at.clone() } else { String::new() };
            let list = ListSessions { route: route.clone(), limit, cursor: at };
            async move { (node, node.ask(command::Kind::ListSessions(list), ASK_DEADLINE).await) }
        });
        Ok(Response::new(paged(join_all(asks).await, limit)))
    }

    async fn get(&self, request: Request<GetSessionRequest>) -> Result<Response<Session>, Status> {
        let GetSessionRequest { fleet, id } = request.into_inner();
        let nodes = self.asked(fleet_of(&fleet)?);
        let found = join_all(nodes.iter().map(|node| find(node, &id))).await;
        found
            .into_iter()
            .flatten()
            .next()
            .map(Response::new)
            .ok_or_else(|| Status::not_found("no node that answers knows this session: it has ended, or never was"))
    }

    async fn end(&self, request: Request<EndSessionsRequest>) -> Result<Response<EndSessionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let EndSessionsRequest { fleet, ids } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        if !(1..=ENDED_MAX).contains(&ids.len()) {
            return Err(Status::invalid_argument("name 1 to 1000 sessions"));
        }
        let by = caller.does(fleet, format!("{} sessions", ids.len()));
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

/// Where a page ended: a node, and where it ended there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cursor {
    node: String,
    at: String,
}

impl Cursor {
    fn read(text: &str) -> Result<Self, Status> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let (node, at) = text
            .split_once('/')
            .ok_or_else(|| Status::invalid_argument("no cursor of this list: give what `next` said, or none"))?;
        Ok(Self { node: node.to_owned(), at: at.to_owned() })
    }
}

/// One page out of what the nodes said, which is in the order of their names. Nodes that share a store name the same sessions:
/// each is told once.
fn paged(replies: Vec<(&Arc<LiveNode>, Result<command_reply::Kind, AskError>)>, limit: u32) -> ListSessionsResponse {
    let mut told = ListSessionsResponse::default();
    let mut known = BTreeMap::new();
    for (node, reply) in replies {
        let Ok(command_reply::Kind::Sessions(page)) = reply else {
            told.silent.push(node.name.clone());
            continue;
        };
        if !told.next.is_empty() {
            continue;
        }
        if known.len() >= limit as usize {
            told.next = format!("{}/", node.name);
            continue;
        }
        let SessionPage { sessions, next } = page;
        for session in sessions {
            let of_node = Session { session: Some(session.clone()), node: node.name.clone() };
            known.entry(session.id).or_insert(of_node);
        }
        if !next.is_empty() {
            told.next = format!("{}/{next}", node.name);
        }
    }
    told.sessions = known.into_values().collect();
    told
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
