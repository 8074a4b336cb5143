//! Errors of the gateway's own making.
//!
//! Goals: a client learns in one sentence what to do; an operator learns from the log whose fault it was and where; a
//! machine reads code, status and whether to try again from the same row of one table ([`ErrorKind`]). An error of the
//! gateway is never mistaken for one of the server: its codes lie outside JSON-RPC's reserved range (2026-07-28,
//! "Overview", error codes) wherever neither JSON-RPC nor MCP defines one.
//!
//! Not here: errors that servers send. They pass as they are.

mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;

use crate::json::text::quote;
use crate::{Malformed, ProtocolVersion, UnsupportedVersion};

pub use table::{ErrorKind, Fault, Severity};

/// When to come back after "overloaded" or "limited", unless the limit that was hit knows better. One second lets a
/// queue of ordinary calls drain, and is the smallest value that `Retry-After` can say.
pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// One failed exchange: a row of the table, and what was special about this one.
///
/// `Display` is the text for the log; [`message`](Self::message) is the text for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayError(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    kind: ErrorKind,
    message: Cow<'static, str>,
    route: Option<Box<str>>,
    upstream: Option<Box<str>>,
    stage: Option<&'static str>,
    trace_id: Option<Box<str>>,
    retry_after: Option<Duration>,
    requested: Option<Box<str>>,
    may_have_run: bool,
}

impl From<ErrorKind> for GatewayError {
    /// The error with the public text of its row.
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind, kind.text())
    }
}

impl From<&Malformed> for GatewayError {
    /// The refusal of a client's message. Its id is [`Malformed::id`].
    fn from(malformed: &Malformed) -> Self {
        Self::new(malformed.kind(), malformed.to_string())
    }
}

impl From<UnsupportedVersion> for GatewayError {
    fn from(version: UnsupportedVersion) -> Self {
        let mut error = Self::new(ErrorKind::VersionUnsupported, version.to_string());
        error.0.requested = Some(version.requested);
        error
    }
}

impl GatewayError {
    /// An error with a public sentence of its own: what happened, and the cure.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            route: None,
            upstream: None,
            stage: None,
            trace_id: None,
            retry_after: kind.asks_to_come_back().then_some(DEFAULT_RETRY_AFTER),
            requested: None,
            may_have_run: false,
        }))
    }

    /// Names the route.
    #[must_use]
    pub fn on_route(mut self, route: &str) -> Self {
        self.0.route = Some(route.into());
        self
    }

    /// Names the upstream.
    #[must_use]
    pub fn at_upstream(mut self, upstream: &str) -> Self {
        self.0.upstream = Some(upstream.into());
        self
    }

    /// Names the stage of the exchange that failed: `connect`, `first_byte` and their like.
    #[must_use]
    pub fn in_stage(mut self, stage: &'static str) -> Self {
        self.0.stage = Some(stage);
        self
    }

    /// Names the trace.
    #[must_use]
    pub fn with_trace_id(mut self, trace_id: &str) -> Self {
        self.0.trace_id = Some(trace_id.into());
        self
    }

    /// Says when to come back, as `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Notes that the server may have seen the call, so that nobody is told to repeat it.
    #[must_use]
    pub fn may_have_run(mut self) -> Self {
        self.0.may_have_run = true;
        self
    }

    /// The row of the table.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The public sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the same call may be sent again.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.0.kind.retryable() && !self.0.may_have_run
    }

    /// The value of `Retry-After` in whole seconds, rounded up (RFC 9110, section 10.2.3). Always present with 429 and 503.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.0.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// The JSON-RPC error response. `id` is the JSON text of the request's id; without one the member is left out, as MCP
    /// has it (2025-11-25, "Overview", responses).
    #[must_use]
    pub fn to_json(&self, id: Option<&str>) -> Bytes {
        let mut json = String::with_capacity(256);
        json.push_str(r#"{"jsonrpc":"2.0","#);
        if let Some(id) = id {
            _ = write!(json, r#""id":{id},"#);
        }
        _ = write!(json, r#""error":{{"code":{},"message":"#, self.0.kind.code());
        quote(&mut json, self.message());
        json.push_str(r#","data":{"#);
        self.write_data(&mut json);
        json.push_str("}}}");
        json.into()
    }

    fn write_data(&self, json: &mut String) {
        let named = [
            ("route", self.0.route.as_deref()),
            ("upstream", self.0.upstream.as_deref()),
            ("stage", self.0.stage),
            ("trace_id", self.0.trace_id.as_deref()),
            ("requested", self.0.requested.as_deref()),
        ];
        _ = write!(json, r#""retryable":{}"#, self.retryable());
        for (name, value) in named {
            if let Some(value) = value {
                _ = write!(json, r#","{name}":"#);
                quote(json, value);
            }
        }
        if self.0.kind == ErrorKind::VersionUnsupported {
            let supported = ProtocolVersion::ALL.map(ProtocolVersion::as_str).join(r#"",""#);
            _ = write!(json, r#","supported":["{supported}"]"#);
        }
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.label(), self.0.message)?;
        let named = [
            ("route", self.0.route.as_deref()),
            ("upstream", self.0.upstream.as_deref()),
            ("stage", self.0.stage),
            ("trace_id", self.0.trace_id.as_deref()),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                write!(f, " {name}={value}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for GatewayError {}
