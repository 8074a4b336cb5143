//! The data planes of a fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use shadowcat_proto::admin::v1::nodes_server::Nodes;
use shadowcat_proto::admin::v1::{
    CreateJoinTokenRequest, CreateJoinTokenResponse, DrainNodeRequest, DrainNodeResponse, GetNodeRequest,
    ListNodesRequest, ListNodesResponse, Node, RemoveNodeRequest, RemoveNodeResponse,
};
use shadowcat_proto::fleet::v1::{Drain, command, command_reply};
use tonic::{Request, Response, Status};

use super::authenticate::Caller;
use super::{ASK_DEADLINE, Admin, answer, fleet_of, refused};
use crate::fleet::{AskError, LiveNode, is_name};
use crate::store::{NewJoinToken, Outcome};
use crate::token::JoinToken;

/// A join token is good for this long unless asked otherwise: what it takes to start a machine.
const GOOD_FOR_DEFAULT: u32 = 15 * 60;

/// The shortest and the longest life of a join token, in seconds: a minute and a week.
const GOOD_FOR: std::ops::RangeInclusive<u32> = 60..=7 * 24 * 60 * 60;

/// How many nodes may join with one token.
const USES: std::ops::RangeInclusive<u32> = 1..=10_000;

#[tonic::async_trait]
impl Nodes for Admin {
    async fn list(&self, request: Request<ListNodesRequest>) -> Result<Response<ListNodesResponse>, Status> {
        let request = request.into_inner();
        let nodes = self.nodes_of(fleet_of(&request.fleet)?).await?;
        Ok(Response::new(ListNodesResponse { nodes }))
    }

    async fn get(&self, request: Request<GetNodeRequest>) -> Result<Response<Node>, Status> {
        let GetNodeRequest { fleet, node: name } = request.into_inner();
        let (fleet, ()) = (fleet_of(&fleet)?, check(&name)?);
        let live_fleet = self.hub.known(fleet);
        let live = live_fleet.as_ref().and_then(|fleet| fleet.node(&name));
        let kept = match (self.store.node(fleet, &name).await, &live) {
            (Ok(kept), _) => kept.filter(|node| !node.removed),
            // What is connected is shown without the database too.
            (Err(_), Some(_)) => None,
            (Err(error), None) => return Err(refused(error)),
        };
        if kept.is_none() && live.is_none() {
            return Err(no_node(&name, fleet));
        }
        let told = answer::node(self.hub.epoch(), live_fleet.as_deref(), kept.as_ref(), live.as_deref());
        Ok(Response::new(told))
    }

    async fn drain(&self, request: Request<DrainNodeRequest>) -> Result<Response<DrainNodeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let DrainNodeRequest { fleet, node: name } = request.into_inner();
        let (fleet, ()) = (fleet_of(&fleet)?, check(&name)?);
        let node = match self.live(fleet, &name) {
            Err(_) if self.store.node(fleet, &name).await.is_ok_and(|kept| kept.is_none_or(|kept| kept.removed)) => {
                return Err(no_node(&name, fleet));
            }
            live => live?,
        };
        // Recorded before it is asked: a drain cannot be taken back.
        let by = caller.does(fleet, format!("node {name}"));
        self.store.record(by, Outcome::Done, "").await.map_err(refused)?;
        match node.ask(command::Kind::Drain(Drain {}), ASK_DEADLINE).await.map_err(unasked)? {
            command_reply::Kind::Draining(draining) => {
                node.state().draining = true;
                Ok(Response::new(DrainNodeResponse { grace_ms: draining.grace_ms }))
            }
            _ => Err(Status::internal("the node answered something else")),
        }
    }

    async fn remove(&self, request: Request<RemoveNodeRequest>) -> Result<Response<RemoveNodeResponse>, Status> {
        let caller = Caller::of(&request)?;
        let RemoveNodeRequest { fleet, node: name } = request.into_inner();
        let (fleet, ()) = (fleet_of(&fleet)?, check(&name)?);
        let by = caller.does(fleet, format!("node {name}"));
        if !self.store.remove_node(fleet, &name, by).await.map_err(refused)? {
            return Err(no_node(&name, fleet));
        }
        self.hub.remove(fleet, &name);
        Ok(Response::new(RemoveNodeResponse {}))
    }

    async fn create_join_token(
        &self,
        request: Request<CreateJoinTokenRequest>,
    ) -> Result<Response<CreateJoinTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let CreateJoinTokenRequest { fleet, good_for_s, uses } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        let good_for = if good_for_s == 0 { GOOD_FOR_DEFAULT } else { good_for_s };
        let uses = uses.max(1);
        if !GOOD_FOR.contains(&good_for) || !USES.contains(&uses) {
            return Err(Status::invalid_argument("a join token is good for 60 to 604800 s, and for 1 to 10000 nodes"));
        }
        let token = JoinToken::generate(self.authority.fingerprint())
            .map_err(|error| Status::internal(format!("the system has no random bytes: {error}")))?;
        let expires_at = SystemTime::now() + Duration::from_secs(u64::from(good_for));
        let new = NewJoinToken { hash: token.hash(), fleet: fleet.to_owned(), uses, expires_at };
        let by = caller.does(fleet, format!("join token for {uses}"));
        self.store.create_join_token(new, by).await.map_err(refused)?;
        Ok(Response::new(CreateJoinTokenResponse {
            token: token.reveal(),
            expires_at: Some(answer::timestamp(expires_at)),
        }))
    }
}

impl Admin {
    /// Every node of a fleet, by name; without the database, those that are connected here.
    pub(super) async fn nodes_of(&self, fleet: &str) -> Result<Vec<Node>, Status> {
        let live_fleet = self.hub.known(fleet);
        let live: BTreeMap<String, Arc<LiveNode>> =
            live_fleet.iter().flat_map(|fleet| fleet.nodes()).map(|node| (node.name.clone(), node)).collect();
        let kept = match self.store.nodes(fleet).await {
            Ok(kept) => kept,
            Err(error) if live.is_empty() => return Err(refused(error)),
            Err(_) => Vec::new(),
        };
        let kept: BTreeMap<&str, _> = kept.iter().map(|node| (node.name.as_str(), node)).collect();
        let names: BTreeSet<&str> = kept.keys().copied().chain(live.keys().map(String::as_str)).collect();
        let told = |name: &str| {
            let (kept, live) = (kept.get(name).copied(), live.get(name));
            answer::node(self.hub.epoch(), live_fleet.as_deref(), kept, live.map(Arc::as_ref))
        };
        Ok(names.into_iter().map(told).collect())
    }

    /// A node that can be asked.
    fn live(&self, fleet: &str, name: &str) -> Result<Arc<LiveNode>, Status> {
        self.hub.known(fleet).and_then(|fleet| fleet.node(name)).ok_or_else(|| {
            Status::unavailable(format!("node {name} of fleet {fleet} is not connected to this control plane"))
        })
    }
}

/// Only what may name a node gets as far as the store.
fn check(name: &str) -> Result<(), Status> {
    let wrong =
        || Status::invalid_argument("a node's name has lower-case letters, digits and inner hyphens, 63 at most");
    is_name(name).then_some(()).ok_or_else(wrong)
}

/// What it means that a node did not do what it was asked.
#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn unasked(error: AskError) -> Status {
    let message = error.to_string();
    match error {
        AskError::Busy => Status::resource_exhausted(message),
        AskError::Silent => Status::deadline_exceeded(message),
        AskError::Failed(_) => Status::failed_precondition(message),
    }
}

fn no_node(name: &str, fleet: &str) -> Status {
    Status::not_found(format!("fleet {fleet} has no node {name}: see shadowcatctl nodes list"))
}
