//! Cross-origin resource sharing of a route (Fetch Standard, "CORS protocol").

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use shadowcat_config::Cors;

use crate::stream::GatewayBody;

/// A browser asks again after this many seconds: the longest that Chromium honours.
const PREFLIGHT_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");

/// What a page may read of an answer beside the safelisted headers.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("mcp-session-id, mcp-protocol-version, retry-after, www-authenticate");

/// The answer to a preflight; `None` if the request is none, or the route does not share.
pub(crate) fn preflight<B>(request: &Request<B>, cors: Option<&Cors>) -> Option<Response<GatewayBody>> {
    let headers = request.headers();
    let is_preflight = request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight || cors.is_none() {
        return None;
    }
    let mut response = Response::new(GatewayBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answer.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE_SECONDS);
    if let Some(wanted) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        // MCP allows any `Mcp-Param-*`, so what the page asks for is what it may send.
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    Some(response)
}

/// The page that asked, if its answer must carry CORS headers.
pub(crate) fn asking_page(headers: &HeaderMap, cors: Option<&Cors>) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    cors?.allows(origin).then(|| origin.clone())
}

/// Lets `page` read the answer.
pub(crate) fn share(response: &mut Response<GatewayBody>, page: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(VARY, HeaderValue::from_static("origin"));
}
