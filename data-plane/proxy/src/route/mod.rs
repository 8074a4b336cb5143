//! The third room of a call: which server it is for, in which session, and what the server is told.
//!
//! [`legacy`] and [`modern`] are the two eras; they share nothing but the upstream. Neither changes a message's body.

mod build;
mod headers;
mod held;
mod initialize;
mod legacy;
mod modern;
mod runtime;
mod table;

use std::sync::Arc;

use http::HeaderMap;
use shadowcat_mcp::header::PROTOCOL_VERSION;
use shadowcat_mcp::{Envelope, Era, GatewayError, Kind, Malformed, ProtocolVersion};

pub use build::BuildError;
pub(crate) use build::Factory;
pub(crate) use held::HeldLease;
pub(crate) use legacy::{call_get, end_session, listen, post as post_legacy};
pub(crate) use modern::post as post_modern;
pub(crate) use runtime::{RouteRuntime, Runtime, SessionsLive, Shared, UpstreamRuntime};
pub(crate) use table::RouteTable;

/// A request that cannot be answered by its upstream, with the id to answer under.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Box<GatewayError>,
    /// JSON text of the request's id.
    pub(crate) id: Option<Box<str>>,
}

impl Refusal {
    /// The refusal of `message`; notifications and responses are refused without an id.
    pub(crate) fn of(message: &Envelope, error: GatewayError) -> Self {
        let id = (message.kind() == Kind::Request).then(|| message.id().map(|id| id.as_json().into())).flatten();
        Self { error: Box::new(error), id }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self { error: Box::new(GatewayError::from(&malformed)), id: malformed.id().map(Into::into) }
    }
}

impl From<GatewayError> for Refusal {
    fn from(error: GatewayError) -> Self {
        Self { error: Box::new(error), id: None }
    }
}

/// Which era a message belongs to: the body says, and the header where the body is silent (MCP 2026-07-28, "Versioning").
pub(crate) fn era(message: &Envelope, headers: &HeaderMap) -> Era {
    let modern_body = message.meta_protocol_version().is_some() || message.method() == Some("server/discover");
    // `initialize` is of the legacy era whatever its header says: there is none in the other.
    let may_be_modern = message.method() != Some("initialize");
    if modern_body || may_be_modern && header_version(headers).is_ok_and(|version| version.is_some_and(is_modern)) {
        return Era::Modern;
    }
    Era::Legacy
}

fn is_modern(version: ProtocolVersion) -> bool {
    version.era() == Era::Modern
}

/// The version header, if there is one; an error if no version of MCP has that name.
fn header_version(headers: &HeaderMap) -> Result<Option<ProtocolVersion>, GatewayError> {
    let Some(value) = headers.get(PROTOCOL_VERSION) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    Ok(Some(text.trim().parse::<ProtocolVersion>()?))
}

/// What a call needs of the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) route: Arc<RouteRuntime>,
    pub(crate) shared: Arc<Shared>,
}
