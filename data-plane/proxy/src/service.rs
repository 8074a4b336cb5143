//! The way of a call through the rooms, from the top of the list down.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use shadowcat_mcp::{ErrorKind, GatewayError};

use shadowcat_session::CountOf;

use crate::admit::{self, Door};
use crate::listen::{CallOnConnection, Service};
use crate::observe::{self, Health, Outcome};
use crate::refuse;
use crate::route::{self, Exchange, Refusal, Runtime, Shared};
use crate::stream::{Account, GatewayBody};

/// As many paths as a person who mistyped one wants to read.
const ROUTES_SHOWN: usize = 5;

/// When a client that came before the first configuration is to come back: about as long as a new node needs to join its fleet.
const CONFIGURATION_RETRY: Duration = Duration::from_secs(2);

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Faces {
    /// MCP clients, and `/health` for their load balancer.
    Clients,
    /// MCP clients and operators on one port.
    Everybody,
    /// Operators: health, metrics.
    Operators,
}

/// Answers the requests of one listener.
pub(crate) struct Gate {
    pub(crate) runtime: Arc<ArcSwap<Runtime>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) door: Door,
    pub(crate) faces: Faces,
}

impl Service for Gate {
    async fn call(&self, connection: CallOnConnection, request: Request<Incoming>) -> Response<GatewayBody> {
        // The configuration of this call, from here to its last byte.
        let runtime = self.runtime.load_full();
        let found = if self.faces == Faces::Operators { None } else { runtime.routes.find(&request) };
        let mut response = match found {
            Some(route) => {
                let exchange = Exchange { route: Arc::clone(route), shared: Arc::clone(&self.shared) };
                let of_a_call = (request.method() != Method::GET).then(|| self.shared.drain.guard());
                let mut account = Account::open(&route.calls, of_a_call, connection, &request);
                account.record(&exchange, runtime.provenance.number().unwrap_or_default(), &request);
                self.serve(exchange, account, request).await
            }
            None => match self.door.check(&request, None) {
                Ok(()) => self.beside(&runtime, &request).await,
                Err(error) => refuse::answer(&error, None),
            },
        };
        if self.shared.drain.is_announced() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl Gate {
    /// A request on a route.
    async fn serve(
        &self,
        exchange: Exchange,
        mut account: Account,
        request: Request<Incoming>,
    ) -> Response<GatewayBody> {
        let route = Arc::clone(&exchange.route);
        let cors = route.config.cors.as_ref();
        let page = admit::asking_page(request.headers(), cors);
        let answered = match self.door.check(&request, cors) {
            Err(error) => Err(error.into()),
            Ok(()) => match admit::preflight(&request, cors) {
                Some(response) => Ok(response),
                None => self.pass(exchange, request, &mut account).await,
            },
        };
        let mut response = answered.unwrap_or_else(|refusal| {
            let id = refusal.id.as_deref();
            refuse::answer(&account.refuse(*refusal.error, id), id)
        });
        if let Some(page) = page {
            admit::share(&mut response, page);
        }
        response.map(|body| body.with_account(account))
    }

    /// From room to room.
    async fn pass(
        &self,
        exchange: Exchange,
        request: Request<Incoming>,
        account: &mut Account,
    ) -> Result<Response<GatewayBody>, Refusal> {
        match *request.method() {
            Method::POST => {
                let (head, body) = request.into_parts();
                let body = admit::body(&head.headers, body).await?;
                let message = match admit::message(body.clone()) {
                    Ok(message) => message,
                    Err(refusal) => {
                        if let Some(tap) = account.tap() {
                            tap.raw(body);
                        }
                        return Err(refusal);
                    }
                };
                account.name(&message);
                if message.method() == Some("subscriptions/listen") {
                    account.let_the_drain_pass();
                }
                match route::era(&message, &head.headers) {
                    shadowcat_mcp::Era::Modern => route::post_modern(exchange, head.headers, message, account).await,
                    shadowcat_mcp::Era::Legacy => route::post_legacy(exchange, head.headers, message, account).await,
                }
            }
            Method::GET => route::listen(exchange, request.into_parts().0.headers, account).await,
            Method::DELETE => {
                let ended = route::end_session(exchange, request.into_parts().0.headers, account).await?;
                account.settle(Outcome::Ok);
                Ok(ended)
            }
            _ => Err(GatewayError::from(ErrorKind::MethodNotAllowed).into()),
        }
    }

    /// What is not a route: health, metrics and configuration, or nothing.
    async fn beside(&self, runtime: &Runtime, request: &Request<Incoming>) -> Response<GatewayBody> {
        let Shared { drain, store, configs, .. } = &*self.shared;
        let health = Health { drain, store: &**store, runtime, configs };
        let operators = self.faces != Faces::Clients;
        match request.uri().path() {
            "/health" if operators => health.report(),
            "/health" | "/health/ready" => health.ready(),
            "/health/live" => Health::live(),
            "/metrics" if operators => self.metrics(runtime).await,
            "/config" if operators => observe::running_config(&runtime.provenance),
            path => refuse::answer(&nowhere(runtime, path), None),
        }
    }

    /// The metrics of now. Sessions are counted when asked: they live in the store, which all replicas share.
    async fn metrics(&self, runtime: &Runtime) -> Response<GatewayBody> {
        let counts = runtime.routes.iter().map(async |route| {
            if let Ok(count) = self.shared.store.count(CountOf::Route(&route.name)).await {
                route.calls.sessions.set(count as f64);
            }
        });
        join_all(counts).await;
        let mut response = Response::new(GatewayBody::full(self.shared.registry.render().into()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
        response
    }
}

/// Why no route serves `path`. Before the first configuration nobody can know that there is none.
fn nowhere(runtime: &Runtime, path: &str) -> GatewayError {
    let Some(config) = &runtime.config else {
        let message = "the gateway has no configuration yet: try again after the time in Retry-After";
        return GatewayError::new(ErrorKind::NotReady, message).retry_after(CONFIGURATION_RETRY);
    };
    let routes = config.routes().iter().take(ROUTES_SHOWN);
    let shown = routes.map(|route| &*route.matches.path).collect::<Vec<_>>().join(", ");
    let message =
        format!("no route serves {path:?} with this host and these headers: call one that is, such as {shown}");
    GatewayError::new(ErrorKind::NoRoute, message)
}
