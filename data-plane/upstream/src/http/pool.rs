//! The connections to one endpoint: HTTP/1.1 ones rest here between calls, an HTTP/2 one is shared.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::connect::{Connector, KEEP_ALIVE, Socket, Spoken};
use super::failure;
use super::link::{Link, Unanswered};
use super::settings::{HttpSettings, Security};
use crate::UpstreamError;

/// The window of one HTTP/2 stream: the same backpressure as a read buffer gives on HTTP/1.1, with room for the round trip
/// of the window update.
const STREAM_WINDOW: u32 = 256 * 1024;

/// A connection that has been idle too long is closed within this time of its due.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// A pool of connections to one endpoint.
///
/// A request goes to another connection in one case only: the resting one it was given to had been closed by the server, and
/// handed the request back untouched. No byte of it has left then, so a call still runs at most once.
pub(super) struct Pool {
    connector: Connector,
    url: Uri,
    path: Uri,
    resting: Arc<Resting>,
    /// The HTTP/2 connection, with a server that speaks it.
    shared: Mutex<Option<SendRequest<Full<Bytes>>>>,
    tasks: TaskTracker,
    _stop: DropGuard,
}

/// An answer's head, what its body is read from, and where that goes afterwards.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
    /// The connection, if it is this call's alone.
    pub(super) link: Option<Lent>,
}

impl Pool {
    pub(super) fn new(settings: &HttpSettings, security: Security) -> Self {
        Self::through(Connector::new(settings, security), settings)
    }

    pub(super) fn through(connector: Connector, settings: &HttpSettings) -> Self {
        let stop = CancellationToken::new();
        let resting = Arc::new(Resting {
            links: Mutex::default(),
            max: usize::try_from(settings.max_connections).unwrap_or(usize::MAX),
            idle_timeout: settings.idle_timeout,
            swept: AtomicBool::new(false),
            stop: stop.clone(),
        });
        let url = settings.url.clone();
        let path = url.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
        Self {
            connector,
            url,
            path,
            resting,
            shared: Mutex::default(),
            tasks: TaskTracker::new(),
            _stop: stop.drop_guard(),
        }
    }

    /// Sends a request on a resting connection, else on a new one, and returns when the answer begins.
    pub(super) async fn request(
        &self,
        settings: &HttpSettings,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answered, UpstreamError> {
        let name = &settings.name;
        while let Some(link) = self.resting.take() {
            match self.send(link, request).await {
                Ok(answered) => return Ok(answered),
                Err(Unanswered::NotTaken(untouched)) => request = *untouched,
                Err(Unanswered::Failed(error)) => return Err(failure::of_request(name, &error)),
            }
        }
        // Boxed: a call on a resting connection carries no room for making one.
        Box::pin(self.request_anew(settings, request)).await
    }

    /// Sends a request on the shared connection, or on a new one.
    async fn request_anew(
        &self,
        settings: &HttpSettings,
        request: Request<Full<Bytes>>,
    ) -> Result<Answered, UpstreamError> {
        let name = &settings.name;
        if let Some(sender) = self.shared() {
            return self.multiplex(sender, request).await.map_err(|error| failure::of_request(name, &error));
        }
        let (socket, spoken) = self.connector.connect(settings).await?;
        if spoken == Spoken::Http2 {
            let sender = self.share(socket).await.map_err(|error| failure::of_request(name, &error))?;
            return self.multiplex(sender, request).await.map_err(|error| failure::of_request(name, &error));
        }
        let link = Link::over(socket).await.map_err(|error| failure::of_request(name, &error))?;
        self.send(link, request).await.map_err(|unanswered| match unanswered {
            Unanswered::Failed(error) => failure::of_request(name, &error),
            Unanswered::NotTaken(_) => failure::of_refusal(name),
        })
    }

    async fn send(&self, mut link: Box<Link>, mut request: Request<Full<Bytes>>) -> Result<Answered, Unanswered> {
        // To the server itself HTTP/1.1 names the path alone (RFC 9112, section 3.2.1).
        *request.uri_mut() = self.path.clone();
        let response = link.send(request).await?;
        let link = Some(Lent { link, resting: Arc::clone(&self.resting), tasks: self.tasks.clone() });
        Ok(Answered { response, link })
    }

    async fn multiplex(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        mut request: Request<Full<Bytes>>,
    ) -> hyper::Result<Answered> {
        *request.uri_mut() = self.url.clone();
        sender.ready().await?;
        Ok(Answered { response: sender.send_request(request).await?, link: None })
    }

    fn shared(&self) -> Option<SendRequest<Full<Bytes>>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.as_ref().filter(|sender| !sender.is_closed()).cloned()
    }

    /// Makes an HTTP/2 connection everybody's; it is driven by a task of the pool.
    async fn share(&self, socket: Socket) -> hyper::Result<SendRequest<Full<Bytes>>> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE).initial_stream_window_size(STREAM_WINDOW);
        let (sender, driver) = builder.handshake(socket).await?;
        let stop = self.resting.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = driver => if let Err(error) = ended {
                    tracing::debug!(%error, "HTTP/2 connection ended");
                },
            }
        });
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.clone());
        Ok(sender)
    }
}

/// Connections without a call, the one that rested least last: at most as many as may be in use.
struct Resting {
    links: Mutex<VecDeque<Box<Link>>>,
    max: usize,
    idle_timeout: Duration,
    /// A sweeper is at work.
    swept: AtomicBool,
    stop: CancellationToken,
}

impl Resting {
    /// The connection that rested least, if it is still good.
    fn take(&self) -> Option<Box<Link>> {
        loop {
            let mut link = self.links.lock().unwrap_or_else(PoisonError::into_inner).pop_back()?;
            if link.resting_since.elapsed() < self.idle_timeout && link.is_usable() {
                return Some(link);
            }
        }
    }

    fn put(self: &Arc<Self>, mut link: Box<Link>, tasks: &TaskTracker) {
        if !link.is_usable() {
            return;
        }
        link.resting_since = Instant::now();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() < self.max {
            links.push_back(link);
        }
        drop(links);
        if !self.swept.swap(true, Ordering::AcqRel) {
            tasks.spawn(Arc::clone(self).sweep());
        }
    }

    /// Closes what has rested too long, as long as anything rests.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP_EVERY.min(self.idle_timeout)) => {}
            }
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.retain_mut(|link| link.resting_since.elapsed() < self.idle_timeout && link.is_usable());
            if links.is_empty() {
                self.swept.store(false, Ordering::Release);
                return;
            }
        }
    }
}

/// A connection while an answer is read from it. Dropped before the end it is closed, which is how HTTP/1.1 leaves an exchange.
pub(super) struct Lent {
    pub(super) link: Box<Link>,
    resting: Arc<Resting>,
    tasks: TaskTracker,
}

impl Lent {
    /// Gives the connection back after the answer's last byte.
    pub(super) fn give_back(self) {
        self.resting.put(self.link, &self.tasks);
    }
}
