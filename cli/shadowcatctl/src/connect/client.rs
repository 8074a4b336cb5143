//! The admin API, with a token on every call and a word for every failure.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use shadowcat_net::CONTROL_PLANE;
use shadowcat_proto::admin::v1::configurations_client::ConfigurationsClient;
use shadowcat_proto::admin::v1::fleets_client::FleetsClient;
use shadowcat_proto::admin::v1::nodes_client::NodesClient;
use shadowcat_proto::admin::v1::sessions_client::SessionsClient;
use shadowcat_proto::admin::v1::tapes_client::TapesClient;
use shadowcat_proto::admin::v1::upstreams_client::UpstreamsClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use super::Target;
use super::dial::{DialError, Dialer};
use crate::output::clean;
use crate::{Exit, Failure};

/// Name look-up, TCP and TLS together: a control plane that is well needs a tenth of it across an ocean.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A call to its answer: a control plane gives its database two seconds, and nodes that it asks some more.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// From one message of a stream to the next: a search tells how far it is every few seconds, and a read that opens a segment in an
/// object store takes some.
const NEXT_MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a quiet connection is probed while a version's progress is followed, so that a server that vanished is noticed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How long the answer to a probe may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer: a version of the largest file (16 MiB) comes twice, as message and as seed, and a diff may say every
/// field of it in JSON.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// What calls go through.
pub type Api = InterceptedService<Channel, Bearer>;

/// A control plane that answers.
#[derive(Debug, Clone)]
pub struct Client {
    api: Api,
    fleet: String,
    server: String,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// The target lacks something, or nothing answers there within five seconds.
    pub async fn connect(target: Target) -> Result<Self, Failure> {
        let server = target.server.to_string();
        let bearer = Bearer::new(&target.token)?;
        let dialer = Dialer::new(&target).map_err(Failure::usage)?;
        // The scheme is tonic's business only where tonic does TLS itself; ours is done below it.
        let endpoint = Endpoint::from_shared(format!("http://{CONTROL_PLANE}"))
            .map_err(|why| Failure::failed(format!("cannot prepare the connection: {why}")))?
            .timeout(REQUEST_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        let channel = match tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect_with_connector(dialer)).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(why)) => return Err(Failure::new(Exit::Unreachable, root_cause(&why).to_string())),
            Err(_) => {
                let text = format!(
                    "no connection to {server} within {} s; look whether the control plane runs there and the way is open",
                    CONNECT_TIMEOUT.as_secs()
                );
                return Err(Failure::new(Exit::Unreachable, text));
            }
        };
        Ok(Self { api: InterceptedService::new(channel, bearer), fleet: target.fleet, server })
    }

    /// The fleet that is meant.
    #[must_use]
    pub fn fleet(&self) -> String {
        self.fleet.clone()
    }

    /// The server, as a person writes it.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Versions.
    #[must_use]
    pub fn configurations(&self) -> ConfigurationsClient<Api> {
        ConfigurationsClient::new(self.api.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Data planes.
    #[must_use]
    pub fn nodes(&self) -> NodesClient<Api> {
        NodesClient::new(self.api.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> SessionsClient<Api> {
        SessionsClient::new(self.api.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Routes and upstreams.
    #[must_use]
    pub fn upstreams(&self) -> UpstreamsClient<Api> {
        UpstreamsClient::new(self.api.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Recorded traffic.
    #[must_use]
    pub fn tapes(&self) -> TapesClient<Api> {
        TapesClient::new(self.api.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// The fleet as a whole.
    #[must_use]
    pub fn fleets(&self) -> FleetsClient<Api> {
        FleetsClient::new(self.api.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Waits for the answer to a call; `what` is the call for a person, as in `list the nodes`.
    ///
    /// # Errors
    /// The call was refused, or no answer came in time.
    pub async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        self.try_call(call).await.map_err(|status| self.failure(what, &status))
    }

    /// As [`Client::call`], for a caller who wants to know more of a refusal.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn try_call<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
        // tonic's own limit ends with the head of the answer.
        match tokio::time::timeout(REQUEST_TIMEOUT, call).await {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded(format!("nothing within {} s", REQUEST_TIMEOUT.as_secs()))),
        }
    }

    /// Waits for the next message of a stream that says itself where it ends.
    ///
    /// # Errors
    /// The stream broke or ended before that, or no message came in time.
    pub async fn next<T>(&self, what: &str, stream: &mut Streaming<T>) -> Result<T, Failure> {
        let told = match tokio::time::timeout(NEXT_MESSAGE_TIMEOUT, stream.message()).await {
            Ok(Ok(Some(message))) => return Ok(message),
            Ok(Ok(None)) => Status::unavailable("the answer ended in the middle"),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded(format!("nothing within {} s", NEXT_MESSAGE_TIMEOUT.as_secs())),
        };
        Err(self.failure(what, &told))
    }

    /// What a refusal means, or a connection that broke under the call.
    #[must_use]
    pub fn failure(&self, what: &str, status: &Status) -> Failure {
        // What a server says has no source; what tonic met on the way has.
        let Some(met) = status.source() else { return Failure::of_call(what, &self.server, status) };
        let cause = root_cause(met);
        if cause.is::<DialError>() {
            return Failure::new(Exit::Unreachable, cause.to_string());
        }
        let server = &self.server;
        let text = format!(
            "cannot {what}: the connection to {server} broke: {}; try again, it may have been done all the same",
            clean(&cause.to_string())
        );
        Failure::new(Exit::Unreachable, text)
    }
}

/// The innermost error: ours, which says everything, or what broke HTTP/2.
fn root_cause<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause
}

/// Puts the token on every call.
#[derive(Debug, Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    fn new(token: &str) -> Result<Self, Failure> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| Failure::usage("the token has characters that no token has; copy it again"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}
