//! URLs and hosts.

use std::net::Ipv6Addr;

use http::Uri;
use http::uri::Authority;

use super::scope::Scope;
use crate::limits::MAX_URL_BYTES;
use crate::source::substitute::{MASK_IN_TEXT, MASK_IN_TEXT_HINT, uses_mask};

/// Bytes of a host name and of one of its labels (RFC 1035, 2.3.4).
const MAX_HOST_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// The URL of an MCP endpoint. It may hold a password by mistake, so it is never repeated in a message.
pub(crate) fn endpoint(text: &str, scope: &Scope<'_>) -> Option<Uri> {
    const FORM: &str = "as in http://127.0.0.1:3001/mcp";
    if text.len() > MAX_URL_BYTES {
        scope.error("the URL is too long", format!("at most {MAX_URL_BYTES} bytes"));
        return None;
    }
    let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some());
    let Some((uri, authority)) = uri.and_then(|uri| uri.authority().cloned().map(|authority| (uri, authority))) else {
        scope.error("not a URL", FORM);
        return None;
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        scope.error("the URL is neither http nor https", FORM);
    } else if authority.as_str().contains('@') {
        scope.error(
            "the URL holds a user name or password, which logs would show",
            "send it in headers, with secret: env:NAME",
        );
    } else if text.contains('#') {
        scope.error("the URL has a fragment, which is never sent", "remove what begins with #");
    } else if uses_mask(text) {
        scope.error(MASK_IN_TEXT, MASK_IN_TEXT_HINT);
    } else if !names_a_host(&authority) {
        scope.error("the URL has no legal host and port", FORM);
    } else {
        return Some(uri);
    }
    None
}

/// Whether an authority has a legal host and, if any, a legal port.
pub(crate) fn names_a_host(authority: &Authority) -> bool {
    let host = authority.host();
    let after_user = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, rest)| rest);
    let port = after_user.get(host.len()..).unwrap_or_default();
    is_host(host) && (port.is_empty() || authority.port_u16().is_some_and(|port| port != 0))
}

/// Whether a text is a host name, an IPv4 address, or an IPv6 address in brackets. Underscores are let in: container
/// networks use them.
pub(crate) fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len()) && label.bytes().all(legal) && !label.starts_with('-')
    };
    text.len() <= MAX_HOST_BYTES && text.split('.').all(label)
}
