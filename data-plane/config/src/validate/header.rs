//! Header names and values.

use http::{HeaderName, HeaderValue};

use super::scope::Scope;
use crate::limits::MAX_HEADER_VALUE_BYTES;

/// Headers of one connection (RFC 9110, 7.6.1) and of the framing of one message: neither side of the gateway sees the
/// other's.
const OF_A_CONNECTION: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers of Streamable HTTP (MCP, "Transports"): the gateway says in them what is true of each message.
const OF_THE_PROTOCOL: [&str; 9] = [
    "accept",
    "content-encoding",
    "content-type",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
];

/// Headers that are credentials whatever their value.
const CREDENTIALS: [&str; 2] = ["authorization", "cookie"];

/// A name that a route may match.
pub(crate) fn to_match(text: &str, scope: &Scope<'_>) -> Option<HeaderName> {
    let name = name(text, scope)?;
    if name == http::header::HOST {
        scope.field("name").error("host is not matched as a header", "write it as host: beside path:");
        return None;
    }
    Some(name)
}

/// A name that an upstream's requests may carry.
pub(crate) fn to_send(text: &str, scope: &Scope<'_>) -> Option<HeaderName> {
    let name = name(text, scope)?;
    if OF_THE_PROTOCOL.contains(&name.as_str()) {
        scope.field("name").error(format!("{name} is set by the gateway for every message"), "remove it");
        return None;
    }
    Some(name)
}

/// Whether a value of this header belongs in a secret.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    CREDENTIALS.contains(&name.as_str())
}

fn name(text: &str, scope: &Scope<'_>) -> Option<HeaderName> {
    if text.is_empty() {
        scope.missing("name", "every header has one");
        return None;
    }
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        scope.field("name").error(format!("{text:?} is not a header name"), "letters, digits and hyphens");
        return None;
    };
    if OF_A_CONNECTION.contains(&name.as_str()) {
        scope
            .field("name")
            .error(format!("{name} belongs to a single connection and never crosses the gateway"), "remove it");
        return None;
    }
    Some(name)
}

/// A header's value. It may be confidential, so it is never repeated in a message.
pub(crate) fn value(text: &str, scope: &Scope<'_>) -> Option<HeaderValue> {
    if text.is_empty() {
        scope.missing("value", "a header with an empty value says nothing");
        return None;
    }
    let scope = scope.field("value");
    if text.len() > MAX_HEADER_VALUE_BYTES {
        scope.error("the value is too long", format!("at most {MAX_HEADER_VALUE_BYTES} bytes"));
        return None;
    }
    match HeaderValue::from_str(text) {
        Ok(value) if text.trim() == text => Some(value),
        _ => {
            scope.error("the value cannot be sent in a header", "visible ASCII, and spaces only inside");
            None
        }
    }
}
