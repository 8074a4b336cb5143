//! A route: the MCP endpoint that clients see.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::defaults::{
    DEFAULT_MAX_SESSIONS, DEFAULT_REQUEST_TIMEOUT, DEFAULT_SESSION_IDLE_TIMEOUT, DEFAULT_STREAM_IDLE_TIMEOUT,
};
use crate::{AllowedOrigin, Name, Recording, Upstream};

/// An MCP endpoint that clients see.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// Unique among routes.
    pub name: Name,
    /// Which requests belong to it.
    pub matches: RouteMatch,
    /// Who answers.
    pub target: Arc<Upstream>,
    /// How sessions are kept.
    pub sessions: Sessions,
    /// Which web pages may call; none when absent.
    pub cors: Option<Cors>,
    /// How long a client waits.
    pub timeouts: RouteTimeouts,
    /// What is kept of its traffic; nothing when absent.
    pub recording: Option<Arc<Recording>>,
}

/// Conditions on a request; all of them hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteMatch {
    /// The request's path, byte for byte.
    pub path: Box<str>,
    /// The host it was sent to; any when absent.
    pub host: Option<HostPattern>,
    /// Headers that are present with exactly this value.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl RouteMatch {
    /// Whether every header demanded is present; one of several values under a name is enough.
    #[must_use]
    pub fn headers_match(&self, headers: &HeaderMap) -> bool {
        self.headers.iter().all(|(name, value)| headers.get_all(name).iter().any(|present| present == value))
    }

    /// Sorts what is more specific first: an exact host, the longest wildcard, no host; then more headers before fewer.
    pub(crate) fn precedence(&self) -> impl Ord + use<> {
        let host = match &self.host {
            Some(HostPattern::Exactly(_)) => (0, Reverse(0)),
            Some(HostPattern::Below(suffix)) => (1, Reverse(suffix.len())),
            None => (2, Reverse(0)),
        };
        (host, Reverse(self.headers.len()))
    }
}

/// A host name, or all names below one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `mcp.example.com`, in lower case.
    Exactly(Box<str>),
    /// `*.example.com`, kept as `.example.com` in lower case: any name that ends so, at any depth, but not
    /// `example.com` itself.
    Below(Box<str>),
}

impl HostPattern {
    /// Whether it covers `host`, given without a port. Case does not matter.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exactly(name) => name.eq_ignore_ascii_case(host),
            Self::Below(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .filter(|start| *start > 0)
                .and_then(|start| host.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
        }
    }
}

/// How sessions with clients of the `initialize`-based versions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sessions {
    /// Whether a call needs one.
    pub mode: SessionMode,
    /// Unused for this long, a session ends.
    pub idle_timeout: Duration,
    /// How many there are at once; one more is refused.
    pub max: u32,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { mode: SessionMode::Required, idle_timeout: DEFAULT_SESSION_IDLE_TIMEOUT, max: DEFAULT_MAX_SESSIONS }
    }
}

/// Whether a call needs a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionMode {
    /// A call without one is refused.
    Required,
    /// A call without one is served over an upstream session that the gateway holds.
    Optional,
}

/// Cross-origin requests from browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cors {
    /// Whose pages may call; never empty.
    pub allow_origins: Vec<AllowedOrigin>,
}

impl Cors {
    /// Whether a page of this `Origin` may call.
    #[must_use]
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        self.allow_origins.iter().any(|allowed| allowed.allows(origin))
    }
}

/// How long a client waits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteTimeouts {
    /// From the end of the request to the first byte of the answer.
    pub request: Duration,
    /// Between two pieces of a streamed answer.
    pub idle: Duration,
}

impl Default for RouteTimeouts {
    fn default() -> Self {
        Self { request: DEFAULT_REQUEST_TIMEOUT, idle: DEFAULT_STREAM_IDLE_TIMEOUT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_every_name_below_and_not_the_domain_itself() {
        let below = HostPattern::Below(".example.com".into());
        assert!(below.matches("mcp.example.com") && below.matches("A.B.EXAMPLE.COM"));
        assert!(!below.matches("example.com") && !below.matches("badexample.com") && !below.matches(".example.com"));
        assert!(!below.matches("é.example.org") && !below.matches(""));
    }

    #[test]
    fn all_headers_of_a_match_are_demanded() {
        let header = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let matches = RouteMatch {
            path: "/mcp".into(),
            host: None,
            headers: vec![header("x-team", "blue"), header("x-env", "prod")],
        };
        let mut headers = HeaderMap::from_iter([header("x-team", "blue")]);
        assert!(!matches.headers_match(&headers));
        headers.append("x-env", HeaderValue::from_static("test"));
        headers.append("x-env", HeaderValue::from_static("prod"));
        assert!(matches.headers_match(&headers));
    }
}
