//! The connections to one endpoint: HTTP/1.1 ones rest here between calls, HTTP/2 ones are shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::connect::{Connector, Spoken};
use super::failure::{self, ConnectTimedOut};
use super::link::{Link, Unanswered};
use super::resting::{Lent, Resting};
use super::settings::{HttpSettings, Security};
use super::trunk::Share;
use super::trunks::Trunks;
use crate::UpstreamError;

/// A pool of connections to one endpoint.
///
/// A request goes to another connection in two cases only, in both of which the call still runs at most once. A connection
/// had been closed and handed the request back untouched: no byte of it has left. Or the server says that it has not acted
/// on it, as HTTP/2 lets it.
pub(super) struct Pool {
    connector: Connector,
    url: Uri,
    path: Uri,
    resting: Arc<Resting>,
    trunks: Arc<Trunks>,
    /// The server may speak HTTP/2: it did the last time, or it has not been asked.
    may_share: AtomicBool,
    /// Held while a connection is made that many may share; inside, how that failed the last time, and when.
    connecting: Mutex<Option<(Instant, UpstreamError)>>,
    tasks: TaskTracker,
    _stop: DropGuard,
}

/// An answer's head, and what its body is read through.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
    pub(super) held: Held,
}

/// What an exchange has of a connection, until the last byte of its answer.
pub(super) enum Held {
    /// An HTTP/1.1 connection, which is this exchange's alone.
    Whole(Lent),
    /// Its share of an HTTP/2 connection.
    Share(#[expect(dead_code, reason = "held for its drop")] Share),
}

/// A connection that can be given a request.
enum Ready {
    Alone(Box<Link>),
    Shared(Share),
}

impl Pool {
    pub(super) fn new(settings: &HttpSettings, security: Security) -> Self {
        Self::through(Connector::new(settings, security), settings)
    }

    pub(super) fn through(connector: Connector, settings: &HttpSettings) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let max = usize::try_from(settings.max_connections).unwrap_or(usize::MAX);
        let url = settings.url.clone();
        let path = url.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
        Self {
            url,
            path,
            resting: Resting::new(max, settings.idle_timeout, stop.clone()),
            trunks: Trunks::new(max, settings.idle_timeout, tasks.clone(), stop.clone()),
            // HTTP/2 is agreed on in the TLS handshake (ALPN) or not at all.
            may_share: AtomicBool::new(matches!(connector, Connector::Tls(_))),
            connector,
            connecting: Mutex::default(),
            tasks,
            _stop: stop.drop_guard(),
        }
    }

    /// Sends a request on a resting connection, else on a shared or new one, and returns when the answer begins.
    pub(super) async fn request(
        &self,
        settings: &HttpSettings,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answered, UpstreamError> {
        let name = &settings.name;
        while let Some(link) = self.resting.take() {
            match self.send(link, request).await {
                Ok(answered) => return Ok(answered),
                Err(Unanswered::NotTaken(untouched, _)) => request = *untouched,
                Err(Unanswered::Failed(error)) => return Err(failure::of_request(name, &error)),
            }
        }
        // Boxed: a call on a resting connection carries no room for making one.
        Box::pin(self.request_anew(settings, request)).await
    }

    /// Sends a request on a shared connection, or on a new one. If it is not taken there, it is sent once more, on a
    /// connection that did not exist at the first try: the others may be as far gone.
    async fn request_anew(
        &self,
        settings: &HttpSettings,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answered, UpstreamError> {
        let name = &settings.name;
        let mut first_try = None;
        loop {
            let ready = self.ready(settings, first_try).await?;
            let tried = Instant::now();
            let outcome = match ready {
                Ready::Alone(link) => self.send(link, request).await,
                Ready::Shared(share) => self.multiplex(share, request).await,
            };
            match outcome {
                Ok(answered) => return Ok(answered),
                Err(Unanswered::Failed(error)) => return Err(failure::of_request(name, &error)),
                Err(Unanswered::NotTaken(_, error)) if first_try.is_some() => {
                    return Err(failure::of_refusal(name, &error));
                }
                Err(Unanswered::NotTaken(untouched, _)) => request = *untouched,
            }
            first_try = Some(tried);
        }
    }

    async fn send(&self, mut link: Box<Link>, mut request: Request<Full<Bytes>>) -> Result<Answered, Unanswered> {
        // To the server itself HTTP/1.1 names the path alone (RFC 9112, section 3.2.1).
        *request.uri_mut() = self.path.clone();
        let response = link.send(request).await?;
        let lent = Lent { link, resting: Arc::clone(&self.resting), tasks: self.tasks.clone() };
        Ok(Answered { response, held: Held::Whole(lent) })
    }

    async fn multiplex(&self, share: Share, mut request: Request<Full<Bytes>>) -> Result<Answered, Unanswered> {
        *request.uri_mut() = self.url.clone();
        let response = share.send(request).await?;
        Ok(Answered { response, held: Held::Share(share) })
    }

    /// Room on a connection that was made after `newer_than`, or a new connection.
    ///
    /// One at a time makes a connection that many may share, so that a burst of calls to an idle server ends up on one
    /// connection. Who waits for it shares its failure too, and does not go on to fail in turn.
    async fn ready(&self, settings: &HttpSettings, newer_than: Option<Instant>) -> Result<Ready, UpstreamError> {
        let may_share = || self.may_share.load(Ordering::Relaxed);
        if !may_share() {
            return self.connect(settings).await;
        }
        if let Some(share) = self.trunks.share(newer_than) {
            return Ok(Ready::Shared(share));
        }
        let since = Instant::now();
        let waited = timeout(settings.connect, self.connecting.lock()).await;
        let mut connecting = waited.map_err(|_elapsed| failure::of_connect(&settings.name, &ConnectTimedOut))?;
        if let Some(share) = self.trunks.share(newer_than) {
            return Ok(Ready::Shared(share));
        }
        if !may_share() {
            drop(connecting);
            return self.connect(settings).await;
        }
        if let Some((_, error)) = connecting.as_ref().filter(|(failed, _)| *failed > since) {
            return Err(error.clone());
        }
        let made = self.connect(settings).await;
        *connecting = made.as_ref().err().map(|error| (Instant::now(), error.clone()));
        made
    }

    async fn connect(&self, settings: &HttpSettings) -> Result<Ready, UpstreamError> {
        let (socket, spoken) = self.connector.connect(settings).await?;
        let ready = match spoken {
            Spoken::Http1 => {
                self.may_share.store(false, Ordering::Relaxed);
                Link::over(socket).await.map(Ready::Alone)
            }
            Spoken::Http2 => {
                self.may_share.store(true, Ordering::Relaxed);
                self.trunks.add(socket).await.map(Ready::Shared)
            }
        };
        ready.map_err(|error| failure::of_refusal(&settings.name, &error))
    }
}
