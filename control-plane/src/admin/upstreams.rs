//! Routes and upstreams of the current version, with what the nodes say of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use prost::Message as _;
use shadowcat_proto::admin::v1::upstream::OnNode;
use shadowcat_proto::admin::v1::upstreams_server::Upstreams;
use shadowcat_proto::admin::v1::{GetUpstreamRequest, ListUpstreamsRequest, ListUpstreamsResponse, Route, Upstream};
use shadowcat_proto::config::v1 as raw;
use shadowcat_proto::fleet::v1::{ExplainUpstreams, UpstreamHealth, command, command_reply};
use tonic::{Request, Response, Status};

use super::{ASK_DEADLINE, Admin, fleet_of};
use crate::fleet::LiveFleet;

#[tonic::async_trait]
impl Upstreams for Admin {
    async fn list(&self, request: Request<ListUpstreamsRequest>) -> Result<Response<ListUpstreamsResponse>, Status> {
        let fleet = self.running(fleet_of(&request.into_inner().fleet)?)?;
        let read = self.aside.run(move || {
            let config = current(&fleet)?;
            let routes = config.routes.iter().map(route).collect();
            Ok(ListUpstreamsResponse { upstreams: upstreams(&config, &fleet), routes })
        });
        read.await.map(Response::new)
    }

    async fn get(&self, request: Request<GetUpstreamRequest>) -> Result<Response<Upstream>, Status> {
        let GetUpstreamRequest { fleet, name } = request.into_inner();
        let fleet = self.running(fleet_of(&fleet)?)?;
        let mut told = self
            .upstreams_of(&fleet)
            .await?
            .into_iter()
            .find(|upstream| upstream.name == name)
            .ok_or_else(|| Status::not_found(format!("the current version has no upstream {name}")))?;
        let nodes = fleet.nodes();
        let asks = nodes.iter().map(|node| {
            let ask = command::Kind::ExplainUpstreams(ExplainUpstreams { upstream: name.clone() });
            async move { (node, node.ask(ask, ASK_DEADLINE).await) }
        });
        for (node, reply) in join_all(asks).await {
            // A node that does not answer is shown as it was known before.
            let Ok(command_reply::Kind::Upstreams(states)) = reply else { continue };
            let Some(health) = states.upstreams.into_iter().find(|health| health.upstream == name) else { continue };
            told.nodes.retain(|known| known.node != node.name);
            told.nodes.push(OnNode { node: node.name.clone(), health: Some(health) });
        }
        told.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(Response::new(told))
    }
}

impl Admin {
    fn running(&self, name: &str) -> Result<Arc<LiveFleet>, Status> {
        self.hub.known(name).ok_or_else(|| no_version(name))
    }

    /// The upstreams of what a fleet runs, with what the nodes said of each.
    pub(super) async fn upstreams_of(&self, fleet: &Arc<LiveFleet>) -> Result<Vec<Upstream>, Status> {
        let fleet = Arc::clone(fleet);
        self.aside.run(move || Ok(upstreams(&current(&fleet)?, &fleet))).await
    }
}

fn no_version(fleet: &str) -> Status {
    Status::not_found(format!("fleet {fleet} has no version yet: shadowcatctl apply makes the first"))
}

/// What a fleet runs.
fn current(fleet: &LiveFleet) -> Result<raw::Config, Status> {
    let head = fleet.head().ok_or_else(|| no_version(&fleet.name))?;
    raw::Config::decode(head.content.clone()).map_err(|error| Status::internal(error.to_string()))
}

/// The upstreams of a configuration, with what the nodes said of each.
fn upstreams(config: &raw::Config, fleet: &LiveFleet) -> Vec<Upstream> {
    let mut seen: BTreeMap<String, Vec<OnNode>> = BTreeMap::new();
    for node in fleet.nodes() {
        for health in node.state().upstreams.values() {
            let of_node = OnNode { node: node.name.clone(), health: Some(UpstreamHealth::clone(health)) };
            seen.entry(health.upstream.clone()).or_default().push(of_node);
        }
    }
    let mut routes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for route in &config.routes {
        for target in &route.targets {
            routes.entry(&target.upstream).or_default().push(route.name.clone());
        }
    }
    let told = |upstream: &raw::Upstream| Upstream {
        name: upstream.name.clone(),
        address: address(upstream),
        routes: routes.get(upstream.name.as_str()).cloned().unwrap_or_default(),
        nodes: seen.remove(&upstream.name).unwrap_or_default(),
    };
    config.upstreams.iter().map(told).collect()
}

/// The URLs, or the program: its arguments may hold what is not for every viewer.
fn address(upstream: &raw::Upstream) -> String {
    match (&upstream.http, &upstream.stdio) {
        (Some(http), _) => http.endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect::<Vec<_>>().join(" "),
        (None, Some(stdio)) => stdio.command.first().cloned().unwrap_or_default(),
        (None, None) => String::new(),
    }
}

fn route(route: &raw::Route) -> Route {
    let matches = route.r#match.clone().unwrap_or_default();
    Route {
        name: route.name.clone(),
        path: matches.path,
        host: matches.host.unwrap_or_default(),
        upstreams: route.targets.iter().map(|target| target.upstream.clone()).collect(),
    }
}
