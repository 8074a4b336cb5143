//! HTTP as MCP uses it: header names, encoded values, hop-by-hop fields, media types.

mod encoded;
mod hop_by_hop;
mod media;

use http::HeaderName;

pub use encoded::decoded;
pub use hop_by_hop::strip_hop_by_hop;
pub use media::{Accepts, accepts, is_event_stream, is_json};

/// The legacy session (2025-03-26 … 2025-11-25, "Transports", session management).
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// The version of this message (since 2025-06-18, "Transports", protocol version header).
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The body's method (2026-07-28, "Streamable HTTP", request metadata).
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");

/// The body's name, uri or task id (2026-07-28, "Streamable HTTP", request metadata).
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What the headers that mirror tool arguments start with (2026-07-28, "Streamable HTTP", custom headers).
pub const PARAM_PREFIX: &str = "mcp-param-";

/// Where a client resumes a stream (HTML, "Server-sent events"; 2025-11-25, "Transports", resumability).
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
