//! What of a client's request head goes on to the upstream.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, ORIGIN, PROXY_AUTHORIZATION,
};
use http::{HeaderName, HeaderValue};
use shadowcat_mcp::header::{PROTOCOL_VERSION, SESSION_ID, strip_hop_by_hop};
use shadowcat_session::Session;

/// Fields that end at the gateway, beside the hop-by-hop ones.
///
/// - credentials are for the gateway alone: an upstream gets its own (MCP 2025-11-25, "Security Best Practices", token passthrough);
/// - `Host`, `Content-Length` and `Expect` are set anew for the next hop;
/// - `Origin` names the client's page, which means nothing to the upstream's own check;
/// - `Accept-Encoding` is dropped because answers are read on the way;
/// - the session id is ours.
const ENDING_HERE: [HeaderName; 9] =
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST, CONTENT_LENGTH, EXPECT, ORIGIN, ACCEPT_ENCODING, SESSION_ID];

/// The client's headers, made fit for the upstream in place.
pub(crate) fn for_upstream(mut headers: HeaderMap) -> HeaderMap {
    strip_hop_by_hop(&mut headers);
    for name in &ENDING_HERE {
        headers.remove(name);
    }
    headers
}

/// Supplies the version header where the session's version demands it and the client left it out (MCP 2025-06-18, "Transports").
pub(crate) fn supply_version(headers: &mut HeaderMap, session: &Session) {
    if session.protocol_version.requires_version_header() && !headers.contains_key(PROTOCOL_VERSION) {
        headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(session.protocol_version.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_the_sessions_own_headers_end_here() {
        let mut headers = HeaderMap::new();
        for name in
            ["authorization", "cookie", "proxy-authorization", "mcp-session-id", "connection", "x-nominated", "te"]
        {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("secret"));
        }
        headers.insert("connection", HeaderValue::from_static("keep-alive, x-nominated"));
        headers.insert("mcp-param-region", HeaderValue::from_static("eu"));
        let passed = for_upstream(headers);
        assert_eq!(passed.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["mcp-param-region"]);
    }
}
