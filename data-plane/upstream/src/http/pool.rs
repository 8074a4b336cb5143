//! The connections to one endpoint: HTTP/1.1 ones rest here between calls, HTTP/2 ones are shared.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::connect::{Connector, Spoken};
use super::dials::Dials;
use super::failure;
use super::link::{Link, Unanswered, Untaken};
use super::resting::{Lent, Resting};
use super::settings::{HttpSettings, Security};
use super::trunk::Share;
use super::trunks::{Avoid, Trunks};
use crate::UpstreamError;

/// A pool of connections to one endpoint.
///
/// A request goes to another connection in two cases only, in both of which the call still runs at most once. A connection
/// had been closed and handed the request back untouched: no byte of it has left. Or the server says that it has not acted
/// on it, as HTTP/2 lets it: because it goes away, or because it has no room for it on that connection.
pub(super) struct Pool {
    connector: Connector,
    url: Uri,
    path: Uri,
    resting: Arc<Resting>,
    trunks: Arc<Trunks>,
    /// The server may speak HTTP/2: it did the last time, or it has not been asked.
    may_share: AtomicBool,
    dials: Dials,
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
            dials: Dials::default(),
            tasks,
            _stop: stop.drop_guard(),
        }
    }

    /// Sends a request and returns when the answer begins, which may take `settings.first_byte`.
    pub(super) async fn request(
        &self,
        settings: &HttpSettings,
        request: Request<Full<Bytes>>,
    ) -> Result<Answered, UpstreamError> {
        let mut sent = None;
        let outcome = timeout(settings.first_byte, self.answer(settings, request, &mut sent)).await;
        if let (Err(_elapsed), Some(sent)) = (&outcome, sent) {
            self.trunks.retire_silent(sent);
        }
        outcome.unwrap_or_else(|_elapsed| Err(failure::of_silence(&settings.name, settings.first_byte)))
    }

    /// Sends a request on a resting connection, else on a shared or new one; `sent` tells when on one of those.
    async fn answer(
        &self,
        settings: &HttpSettings,
        mut request: Request<Full<Bytes>>,
        sent: &mut Option<Instant>,
    ) -> Result<Answered, UpstreamError> {
        while let Some(link) = self.resting.take() {
            match self.send(link, request).await {
                Ok(answered) => return Ok(answered),
                Err(Unanswered::Untaken(untouched, ..)) => request = *untouched,
                Err(Unanswered::Failed(error)) => return Err(failure::of_request(&settings.name, &error)),
            }
        }
        // Boxed: a call on a resting connection carries no room for making one.
        Box::pin(self.answer_anew(settings, request, sent)).await
    }

    /// Sends a request on a shared connection, or on a new one. If it is not taken there, it is sent again on another: once
    /// because the server had no room, and once because the connection was gone.
    async fn answer_anew(
        &self,
        settings: &HttpSettings,
        mut request: Request<Full<Bytes>>,
        sent: &mut Option<Instant>,
    ) -> Result<Answered, UpstreamError> {
        let mut avoid = Avoid::default();
        loop {
            let ready = self.ready(settings, &avoid).await?;
            let now = Instant::now();
            *sent = Some(now);
            let (on, outcome) = match ready {
                Ready::Alone(link) => (None, self.send(link, request).await),
                Ready::Shared(share) => (Some(Arc::clone(share.trunk())), self.multiplex(share, request).await),
            };
            let (untouched, why, error) = match outcome {
                Ok(answered) => return Ok(answered),
                Err(Unanswered::Failed(error)) => return Err(failure::of_request(&settings.name, &error)),
                Err(Unanswered::Untaken(untouched, why, error)) => (untouched, why, error),
            };
            let again = match why {
                Untaken::Gone => {
                    if let Some(gone) = on {
                        self.trunks.retire(&gone);
                    }
                    avoid.opened_before.replace(now).is_some()
                }
                Untaken::Refused => mem::replace(&mut avoid.refused_by, on).is_some(),
            };
            if again {
                return Err(failure::of_refusal(&settings.name, &error));
            }
            request = *untouched;
        }
    }

    async fn send(&self, mut link: Box<Link>, mut request: Request<Full<Bytes>>) -> Result<Answered, Unanswered> {
        // To the server itself HTTP/1.1 names the path alone (RFC 9112, section 3.2.1).
        *request.uri_mut() = self.path.clone();
        let response = link.send(request).await?;
        let lent = Lent { link, resting: Arc::clone(&self.resting), tasks: self.tasks.clone() };
        Ok(Answered { response, held: Held::Whole(lent) })
    }

    async fn multiplex(&self, share: Share, request: Request<Full<Bytes>>) -> Result<Answered, Unanswered> {
        let response = share.send(&self.url, request).await?;
        Ok(Answered { response, held: Held::Share(share) })
    }

    /// Room on a connection that is not to be avoided, or a new connection.
    async fn ready(&self, settings: &HttpSettings, avoid: &Avoid) -> Result<Ready, UpstreamError> {
        while self.may_share.load(Ordering::Relaxed) {
            if let Some(share) = self.trunks.share(avoid) {
                return Ok(Ready::Shared(share));
            }
            if let Some(ready) = self.dials.join(self.trunks.likely_limit(), || self.connect(settings)).await? {
                return Ok(ready);
            }
        }
        self.connect(settings).await
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
