//! Which service a call is for, and whether it may pass: the one way into all of them.
//!
//! A call of `shadowcat.admin.v1` passes the [`Gate`] before its body is read, so that no method can forget to ask.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, Request, Response};
use shadowcat_proto::admin::v1::configurations_server::ConfigurationsServer;
use shadowcat_proto::admin::v1::fleets_server::FleetsServer;
use shadowcat_proto::admin::v1::nodes_server::NodesServer;
use shadowcat_proto::admin::v1::sessions_server::SessionsServer;
use shadowcat_proto::admin::v1::tapes_server::TapesServer;
use shadowcat_proto::admin::v1::upstreams_server::UpstreamsServer;
use shadowcat_proto::fleet::v1::fleet_server::FleetServer;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

use crate::admin::{Admin, Gate};
use crate::fleet::service::FleetService;
use crate::fleet::snapshot::CONFIG_BYTES_MAX;
use crate::listen::Connection;

/// The longest message of a node: a page of 1 000 sessions is a third of it.
const NODE_MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The longest request of an operator: a configuration, and a little around it.
const ADMIN_REQUEST_BYTES_MAX: usize = CONFIG_BYTES_MAX + 64 * 1024;

/// With an answer to an operator while the database is gone: since when, in seconds of Unix time. What was read is that old.
const STALE_SINCE: HeaderName = HeaderName::from_static("shadowcat-stale-since");

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A service as tonic makes them.
pub(crate) trait Offered:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Offered for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// A service of which only the outside is known.
trait Served: Send + Sync {
    fn answer(&self, request: Request<Body>) -> Answer;
}

impl<S: Offered> Served for S {
    fn answer(&self, request: Request<Body>) -> Answer {
        Box::pin(self.clone().call(request))
    }
}

/// The services of the gRPC port, by name.
pub(crate) struct Services {
    open: Vec<(&'static str, Box<dyn Served>)>,
    guarded: Vec<(&'static str, Box<dyn Served>)>,
    gate: Gate,
}

impl Services {
    pub(crate) fn new(fleet: FleetService, gate: Gate, admin: &Arc<Admin>) -> Self {
        let fleet = FleetServer::new(fleet).max_decoding_message_size(NODE_MESSAGE_BYTES_MAX);
        let configurations =
            ConfigurationsServer::from_arc(Arc::clone(admin)).max_decoding_message_size(ADMIN_REQUEST_BYTES_MAX);
        Self {
            open: vec![named(fleet)],
            guarded: vec![
                named(configurations),
                named(NodesServer::from_arc(Arc::clone(admin))),
                named(SessionsServer::from_arc(Arc::clone(admin))),
                named(UpstreamsServer::from_arc(Arc::clone(admin))),
                named(TapesServer::from_arc(Arc::clone(admin))),
                named(FleetsServer::from_arc(Arc::clone(admin))),
            ],
            gate,
        }
    }

    /// Adds a service that asks nobody who they are.
    pub(crate) fn open(mut self, service: impl Offered) -> Self {
        self.open.push(named(service));
        self
    }

    async fn call(&self, mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
        Connection::note_call(request.extensions());
        let path = request.uri().path().to_owned();
        let service = path.trim_start_matches('/').split_once('/').map_or("", |(service, _)| service);
        if let Some((_, open)) = self.open.iter().find(|(name, _)| *name == service) {
            return open.answer(request).await;
        }
        let Some((_, guarded)) = self.guarded.iter().find(|(name, _)| *name == service) else {
            return Ok(Status::unimplemented(format!("no service {service} is here")).into_http());
        };
        match self.gate.admit(&path, Connection::at(request.extensions()).address, request.headers()).await {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                let mut answer = guarded.answer(request).await?;
                if let Some(since) = self.gate.stale_since() {
                    answer.headers_mut().insert(STALE_SINCE, since.into());
                }
                Ok(answer)
            }
            Err(refused) => Ok(refused.into_http()),
        }
    }
}

fn named<S: Offered>(service: S) -> (&'static str, Box<dyn Served>) {
    (S::NAME, Box::new(service))
}

/// gRPC's own health service: whoever is answered is served.
pub(crate) fn health() -> impl Offered {
    tonic_health::server::health_reporter().1
}

/// What is served here, for tools that have no schema of their own.
pub(crate) fn reflection() -> impl Offered {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(shadowcat_proto::DESCRIPTORS)
        .build_v1()
        .expect("the compiler of the schema wrote the descriptors")
}

/// What tonic calls for each request.
#[derive(Clone)]
pub(crate) struct Front(pub(crate) Arc<Services>);

impl Service<Request<Body>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let services = Arc::clone(&self.0);
        Box::pin(async move { services.call(request).await })
    }
}
