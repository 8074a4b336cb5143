//! What is owed when a call ends: its metrics, its place in a drain, its connection's rest.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use hyper::body::Incoming;
use shadowcat_mcp::{Envelope, Fault, GatewayError, Severity};

use crate::drain::DrainGuard;
use crate::listen::CallOnConnection;
use crate::observe::{CallIds, Clean, Outcome, RouteCalls};
use crate::record::{Opening, Tap};
use crate::route::{Exchange, HeldLease};

/// Travels with a call from its head to the last byte of its answer; dropping it is the end of the call.
#[derive(Debug)]
pub(crate) struct Account {
    calls: Arc<RouteCalls>,
    method: Box<str>,
    tool: Option<Box<str>>,
    ids: CallIds,
    began: Instant,
    outcome: Outcome,
    lease: Option<HeldLease>,
    drain: Option<DrainGuard>,
    tap: Option<Tap>,
    connection: CallOnConnection,
}

impl Account {
    /// An account that says [`Outcome::Abandoned`] unless it is told otherwise. `drain` is absent for streams that belong to no
    /// call: a drain ends those instead of waiting for them.
    pub(crate) fn open(
        calls: &Arc<RouteCalls>,
        drain: Option<DrainGuard>,
        connection: CallOnConnection,
        request: &http::Request<Incoming>,
    ) -> Self {
        Self {
            calls: Arc::clone(calls),
            method: request.method().as_str().into(),
            tool: None,
            ids: CallIds::of(request.headers()),
            began: Instant::now(),
            outcome: Outcome::Abandoned,
            lease: None,
            drain,
            tap: None,
            connection,
        }
    }

    /// The call is recorded, where its route asks for it.
    pub(crate) fn record(&mut self, exchange: &Exchange, version: u64, request: &http::Request<Incoming>) {
        let (Some(route), Some(recorder)) = (&exchange.route.recorded, &exchange.shared.recorder) else {
            return;
        };
        // What a browser asks before it sends a message is none.
        if request.method() == http::Method::OPTIONS {
            return;
        }
        let opening =
            Opening { route, ids: &self.ids, version, connection: self.connection.number(), began: self.began };
        self.tap = Some(Tap::open(recorder, &opening, request));
    }

    /// What records the call, if anything does.
    pub(crate) fn tap(&mut self) -> Option<&mut Tap> {
        self.tap.as_mut()
    }

    /// The number of the recorded exchange, for observers of the upstream.
    pub(crate) fn exchange(&self) -> Option<u64> {
        self.tap.as_ref().map(Tap::exchange)
    }

    /// The same, for whoever outlives the account.
    pub(crate) fn take_tap(&mut self) -> Option<Tap> {
        self.tap.take()
    }

    /// Whether the call may run: the same as [`go`](Self::go) finds, while its session is not known yet.
    ///
    /// # Errors
    /// When it must be recorded and cannot be.
    pub(crate) fn may_run(&self) -> Result<(), GatewayError> {
        self.tap.as_ref().map_or(Ok(()), Tap::check)
    }

    /// The call goes to its upstream now.
    ///
    /// # Errors
    /// When it must be recorded and cannot be.
    pub(crate) fn go(&mut self) -> Result<(), GatewayError> {
        self.tap.as_mut().map_or(Ok(()), Tap::go)
    }

    /// Names the call once its body has been read; until then it goes by its HTTP method.
    pub(crate) fn name(&mut self, message: &Envelope) {
        let method = message.method().unwrap_or_default();
        self.method = method.into();
        self.tool = message.name().filter(|_| method == "tools/call").map(Into::into);
        if let Some(tap) = &mut self.tap {
            tap.message(message);
        }
    }

    /// Names the session that the call has opened.
    pub(crate) fn opened(&mut self, session: &HeaderValue) {
        self.ids.opened(session);
        if let Some(tap) = &mut self.tap {
            tap.opened(session);
        }
    }

    /// The trace the call belongs to, if its client named one.
    pub(crate) fn trace(&self) -> Option<&str> {
        self.ids.trace()
    }

    /// Notes a refusal, to the request with this id (JSON text): how the call ended, a log line as loud as the error's row of the table
    /// says, and the trace in the error.
    pub(crate) fn refuse(&mut self, error: GatewayError, id: Option<&str>) -> GatewayError {
        self.outcome = match error.kind().fault() {
            Fault::Client => Outcome::Refused,
            Fault::Gateway | Fault::Upstream => Outcome::Failed,
        };
        let error = match self.ids.trace() {
            Some(trace) => error.with_trace_id(trace),
            None => error,
        };
        if let Some(tap) = &mut self.tap {
            tap.refusal(&error, id);
        }
        let Self { calls, method, ids, .. } = &*self;
        let (route, session, trace) = (&calls.route, ids.session(), ids.trace());
        // What the client or the server has written may hold a secret.
        let (method, request, told) = (Clean(method), Clean(ids.request()), Clean(&error));
        match error.kind().severity() {
            Severity::Debug => {
                tracing::debug!(%route, %method, %request, session, trace, error = %told, "call refused");
            }
            Severity::Info => tracing::info!(%route, %method, %request, session, trace, error = %told, "call refused"),
            Severity::Warn => tracing::warn!(%route, %method, %request, session, trace, error = %told, "call failed"),
            Severity::Error => tracing::error!(%route, %method, %request, session, trace, error = %told, "call failed"),
        }
        error
    }

    /// A drain ends this one's stream instead of waiting for it.
    pub(crate) fn let_the_drain_pass(&mut self) {
        self.drain = None;
    }

    /// Keeps an upstream session to this call until its end.
    pub(crate) fn keep(&mut self, lease: HeldLease) {
        self.lease = Some(lease);
    }

    /// Says how the call ended. The last word counts.
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && !matches!(self.outcome, Outcome::Abandoned | Outcome::Failed)
        {
            lease.give_back();
        }
        tracing::debug!(
            route = %self.calls.route,
            method = %Clean(&self.method),
            tool = self.tool.as_deref().map(|tool| tracing::field::display(Clean(tool))),
            outcome = self.outcome.label(),
            request = %Clean(self.ids.request()),
            session = self.ids.session(),
            trace = self.ids.trace(),
            elapsed = ?self.began.elapsed(),
            "call"
        );
        self.calls.record(&self.method, self.tool.as_deref(), self.outcome, self.began);
    }
}
