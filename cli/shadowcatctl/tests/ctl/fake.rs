//! A control plane that a test plays: versions in memory, two tokens, and a script for what nodes do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use prost::Message;
use shadowcat_proto::admin::v1::configurations_server::{Configurations, ConfigurationsServer};
use shadowcat_proto::admin::v1::fleets_server::{Fleets, FleetsServer};
use shadowcat_proto::admin::v1::nodes_server::{Nodes, NodesServer};
use shadowcat_proto::admin::v1::sessions_server::{Sessions, SessionsServer};
use shadowcat_proto::admin::v1::tapes_server::TapesServer;
use shadowcat_proto::admin::v1::upstreams_server::{Upstreams, UpstreamsServer};
use shadowcat_proto::admin::v1::{self as admin};
use shadowcat_proto::config::v1::Config;
use shadowcat_proto::fleet::v1 as fleet;
use tokio::net::TcpListener;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::{Code, Request, Response, Status};

use crate::answers;
use crate::recorder::Script;

/// May do everything.
pub(crate) const EDITOR: &str = "shadowcat_editor";

/// May look.
pub(crate) const VIEWER: &str = "shadowcat_viewer";

/// A route of this name is refused: a control plane may know better than the program that asks.
pub(crate) const FORBIDDEN: &str = "forbidden";

/// What the control plane knows.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) versions: Vec<(admin::Version, Config)>,
    /// What `Watch` tells; it ends there, whether done or not.
    pub(crate) progress: Vec<admin::Progress>,
    /// Answered instead of any other answer.
    pub(crate) failure: Option<Status>,
    /// Ids whose sessions were ended.
    pub(crate) ended: Vec<String>,
    /// What was asked of traffic.
    pub(crate) traffic: Vec<admin::TrafficRequest>,
    /// Recorded traffic.
    pub(crate) tapes: Script,
}

/// Plays the control plane. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

impl Fake {
    /// One where three nodes apply what they get.
    pub(crate) fn new() -> Self {
        let fake = Self::default();
        fake.state().progress = (0..=3).map(|applied| answers::progress(applied, Vec::new())).collect();
        fake
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panicked with it")
    }

    /// Its services.
    pub(crate) fn router(&self) -> Router {
        tonic::transport::Server::builder()
            .add_service(ConfigurationsServer::new(self.clone()))
            .add_service(NodesServer::new(self.clone()))
            .add_service(SessionsServer::new(self.clone()))
            .add_service(UpstreamsServer::new(self.clone()))
            .add_service(TapesServer::new(self.clone()))
            .add_service(FleetsServer::new(self.clone()))
    }

    /// Serves in plain text until the test ends; its URL.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let serving = self.router().serve_with_incoming(TcpIncoming::from(listener));
        #[expect(clippy::disallowed_methods, reason = "it ends with the runtime of its test")]
        tokio::spawn(serving);
        url
    }

    /// Lets pass whoever may.
    pub(crate) fn admit<T>(&self, request: Request<T>, only: &[&str]) -> Result<T, Status> {
        let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = shown.strip_prefix("Bearer ").unwrap_or_default();
        if ![EDITOR, VIEWER].contains(&token) {
            return Err(Status::unauthenticated("the token is not known"));
        }
        if !only.contains(&token) {
            return Err(Status::permission_denied("a viewer may not change the configuration"));
        }
        match &self.state().failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(request.into_inner()),
        }
    }

    fn commit(&self, config: Config, message: &str, if_version: Option<u64>) -> Result<admin::ApplyResponse, Status> {
        refuse_forbidden(&config)?;
        let mut state = self.state();
        let current = state.versions.len() as u64;
        if if_version.is_some_and(|expected| expected != current) {
            return Err(Status::aborted(format!("the current version is {current}")));
        }
        if let Some((version, running)) = state.versions.last()
            && *running == config
        {
            return Ok(admin::ApplyResponse { version: Some(version.clone()), nodes: 3, ..Default::default() });
        }
        let version = answers::version(current + 1, message);
        state.versions.push((version.clone(), config));
        Ok(admin::ApplyResponse { version: Some(version), changed: true, changes: answers::changes(), nodes: 3 })
    }

    fn version(&self, number: u64) -> Result<(admin::Version, Config), Status> {
        let versions = &self.state().versions;
        let number = if number == 0 { versions.len() as u64 } else { number };
        let index = usize::try_from(number).expect("small").checked_sub(1);
        index
            .and_then(|index| versions.get(index).cloned())
            .ok_or_else(|| Status::not_found(format!("there is no version {number}")))
    }
}

fn refuse_forbidden(config: &Config) -> Result<(), Status> {
    let Some(index) = config.routes.iter().position(|route| route.name == FORBIDDEN) else { return Ok(()) };
    let error = fleet::ConfigError {
        path: format!("routes[{index}].name"),
        message: "this name is taken".to_owned(),
        hint: "choose another".to_owned(),
    };
    let details = fleet::ConfigStatus { errors: vec![error], ..Default::default() }.encode_to_vec();
    Err(Status::with_details(Code::InvalidArgument, "the configuration has mistakes", details.into()))
}

pub(crate) const ALL: [&str; 2] = [EDITOR, VIEWER];
pub(crate) const CHANGING: [&str; 1] = [EDITOR];

pub(crate) type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Configurations for Fake {
    async fn apply(&self, request: Request<admin::ApplyRequest>) -> Answer<admin::ApplyResponse> {
        let asked = self.admit(request, &CHANGING)?;
        self.commit(asked.config.unwrap_or_default(), &asked.message, asked.if_version).map(Response::new)
    }

    async fn plan(&self, request: Request<admin::PlanRequest>) -> Answer<admin::PlanResponse> {
        let asked = self.admit(request, &ALL)?;
        refuse_forbidden(&asked.config.unwrap_or_default())?;
        let current = self.version(0).ok().map(|(version, _)| version);
        Ok(Response::new(admin::PlanResponse { changes: answers::changes(), current }))
    }

    async fn diff(&self, request: Request<admin::DiffRequest>) -> Answer<admin::DiffResponse> {
        let asked = self.admit(request, &ALL)?;
        let (_, before) = self.version(asked.from)?;
        let (_, after) = self.version(asked.to)?;
        let changes = if before == after { Vec::new() } else { answers::changes() };
        Ok(Response::new(admin::DiffResponse { changes }))
    }

    async fn history(&self, request: Request<admin::HistoryRequest>) -> Answer<admin::HistoryResponse> {
        let asked = self.admit(request, &ALL)?;
        let state = self.state();
        let newest = state.versions.iter().rev().take(asked.limit as usize);
        let versions = newest.map(|(version, _)| version.clone()).collect();
        Ok(Response::new(admin::HistoryResponse { versions, next_before: 0 }))
    }

    async fn get(&self, request: Request<admin::GetVersionRequest>) -> Answer<admin::GetVersionResponse> {
        let asked = self.admit(request, &ALL)?;
        let (version, config) = self.version(asked.number)?;
        let seed = b"SHCATCFG and so on".to_vec();
        Ok(Response::new(admin::GetVersionResponse { version: Some(version), config: Some(config), seed }))
    }

    async fn rollback(&self, request: Request<admin::RollbackRequest>) -> Answer<admin::ApplyResponse> {
        let asked = self.admit(request, &CHANGING)?;
        let (_, config) = self.version(asked.number)?;
        self.commit(config, &asked.message, asked.if_version).map(Response::new)
    }

    type WatchStream = tokio_stream::Iter<std::vec::IntoIter<Result<admin::Progress, Status>>>;

    async fn watch(&self, request: Request<admin::WatchRequest>) -> Answer<Self::WatchStream> {
        self.admit(request, &ALL)?;
        let told: Vec<_> = self.state().progress.iter().cloned().map(Ok).collect();
        Ok(Response::new(tokio_stream::iter(told)))
    }
}

#[tonic::async_trait]
impl Nodes for Fake {
    async fn list(&self, request: Request<admin::ListNodesRequest>) -> Answer<admin::ListNodesResponse> {
        self.admit(request, &ALL).map(|_| Response::new(answers::nodes()))
    }

    async fn get(&self, request: Request<admin::GetNodeRequest>) -> Answer<admin::Node> {
        let asked = self.admit(request, &ALL)?;
        let found = answers::nodes().nodes.into_iter().find(|node| node.name == asked.node);
        found.map(Response::new).ok_or_else(|| Status::not_found(format!("there is no node {:?}", asked.node)))
    }

    async fn drain(&self, request: Request<admin::DrainNodeRequest>) -> Answer<admin::DrainNodeResponse> {
        self.admit(request, &CHANGING).map(|_| Response::new(admin::DrainNodeResponse { grace_ms: 30_000 }))
    }

    async fn remove(&self, request: Request<admin::RemoveNodeRequest>) -> Answer<admin::RemoveNodeResponse> {
        self.admit(request, &CHANGING).map(|_| Response::new(admin::RemoveNodeResponse {}))
    }

    async fn create_join_token(
        &self,
        request: Request<admin::CreateJoinTokenRequest>,
    ) -> Answer<admin::CreateJoinTokenResponse> {
        self.admit(request, &CHANGING).map(|_| Response::new(answers::token()))
    }
}

#[tonic::async_trait]
impl Sessions for Fake {
    /// Pages of at most two new ones out of five, and the last of the page before once more.
    async fn list(&self, request: Request<admin::ListSessionsRequest>) -> Answer<admin::ListSessionsResponse> {
        const ALL_SESSIONS: usize = 5;
        const PAGE: usize = 2;
        let asked = self.admit(request, &ALL)?;
        let from: usize = asked.cursor.parse().unwrap_or(0);
        let end = (from + PAGE.min(asked.limit as usize)).min(ALL_SESSIONS);
        let sessions =
            (from.saturating_sub(1)..end).map(|index| answers::session(&format!("session-{index}"))).collect();
        let next = if end < ALL_SESSIONS { end.to_string() } else { String::new() };
        Ok(Response::new(admin::ListSessionsResponse { sessions, next, silent: vec!["edge-2".to_owned()] }))
    }

    async fn get(&self, request: Request<admin::GetSessionRequest>) -> Answer<admin::Session> {
        self.admit(request, &ALL).map(|asked| Response::new(answers::session(&asked.id)))
    }

    async fn end(&self, request: Request<admin::EndSessionsRequest>) -> Answer<admin::EndSessionsResponse> {
        let asked = self.admit(request, &CHANGING)?;
        let count = u32::try_from(asked.ids.len()).expect("few");
        self.state().ended.extend(asked.ids);
        Ok(Response::new(admin::EndSessionsResponse { count, silent: Vec::new() }))
    }
}

#[tonic::async_trait]
impl Upstreams for Fake {
    async fn list(&self, request: Request<admin::ListUpstreamsRequest>) -> Answer<admin::ListUpstreamsResponse> {
        self.admit(request, &ALL).map(|_| Response::new(answers::upstreams()))
    }

    async fn get(&self, request: Request<admin::GetUpstreamRequest>) -> Answer<admin::Upstream> {
        self.admit(request, &ALL).map(|_| Response::new(answers::upstream()))
    }
}

#[tonic::async_trait]
impl Fleets for Fake {
    async fn list(&self, request: Request<admin::ListFleetsRequest>) -> Answer<admin::ListFleetsResponse> {
        self.admit(request, &ALL)
            .map(|_| Response::new(admin::ListFleetsResponse { fleets: vec!["default".to_owned()] }))
    }

    async fn status(&self, request: Request<admin::StatusRequest>) -> Answer<admin::StatusResponse> {
        self.admit(request, &ALL).map(|_| Response::new(answers::status()))
    }

    async fn traffic(&self, request: Request<admin::TrafficRequest>) -> Answer<admin::TrafficResponse> {
        let asked = self.admit(request, &ALL)?;
        let mut told = answers::traffic(asked.group_by());
        told.rows.truncate(asked.limit as usize);
        self.state().traffic.push(asked);
        Ok(Response::new(told))
    }

    async fn list_audit(&self, request: Request<admin::ListAuditRequest>) -> Answer<admin::ListAuditResponse> {
        self.admit(request, &ALL).map(|_| Response::new(answers::audit()))
    }
}
