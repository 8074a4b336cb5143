//! What an HTTP upstream is told.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, uri::Scheme};

/// An MCP server that speaks Streamable HTTP.
#[derive(Clone)]
pub struct HttpSettings {
    /// The upstream's name.
    pub name: String,
    /// Its endpoint: `http` or `https`, with a host.
    pub url: Uri,
    /// Headers of the gateway's own, secrets resolved. They replace what the client sent under the same name.
    pub headers: HeaderMap,
    /// Exchanges at once; on HTTP/1.1 each takes a connection.
    pub max_connections: u32,
    /// How long a connection is kept unused.
    pub idle_timeout: Duration,
    /// Bound on name look-up, TCP and TLS together.
    pub connect: Duration,
    /// Bound on the time from sending, connecting included, to the head of the answer.
    pub first_byte: Duration,
    /// Bound on silence in the middle of an answer. Streams that belong to no request (GET) may be silent for ever.
    pub idle: Duration,
}

impl fmt::Debug for HttpSettings {
    /// Names the headers without their values: those may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("headers", &self.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>())
            .field("max_connections", &self.max_connections)
            .field("idle_timeout", &self.idle_timeout)
            .field("connect", &self.connect)
            .field("first_byte", &self.first_byte)
            .field("idle", &self.idle)
            .finish()
    }
}

/// An endpoint that cannot be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Neither `http` nor `https`.
    #[error("the url {0} has to start with http:// or https://")]
    Scheme(Uri),
    /// Nobody to call.
    #[error("the url {0} names no host")]
    Host(Uri),
}

/// Whether an endpoint is called through TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    Plain,
    Tls,
}

impl HttpSettings {
    /// What every request takes from the endpoint, made once: the `host` value, and whether TLS is needed.
    pub(super) fn endpoint(&self) -> Result<(HeaderValue, Security), InvalidUrl> {
        let security = match self.url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => Security::Plain,
            Some(scheme) if *scheme == Scheme::HTTPS => Security::Tls,
            _ => return Err(InvalidUrl::Scheme(self.url.clone())),
        };
        let host = self.url.authority().map(|authority| {
            // User information is no part of `host` (RFC 9110, 7.2).
            let text = authority.as_str();
            text.rsplit_once('@').map_or(text, |(_user, host)| host)
        });
        match host.map(HeaderValue::from_str) {
            Some(Ok(host)) if !host.is_empty() => Ok((host, security)),
            _ => Err(InvalidUrl::Host(self.url.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue};

    use super::{HttpSettings, InvalidUrl, Security};

    fn settings(url: &str) -> HttpSettings {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("s3cret"));
        HttpSettings {
            name: "files".to_owned(),
            url: url.parse().expect("a url"),
            headers,
            max_connections: 1,
            idle_timeout: Duration::ZERO,
            connect: Duration::ZERO,
            first_byte: Duration::ZERO,
            idle: Duration::ZERO,
        }
    }

    #[test]
    fn the_host_header_is_the_authority_without_user_information() {
        assert_eq!(
            settings("http://a:b@host:81/mcp").endpoint(),
            Ok((HeaderValue::from_static("host:81"), Security::Plain))
        );
        assert_eq!(settings("https://host/mcp").endpoint(), Ok((HeaderValue::from_static("host"), Security::Tls)));
    }

    #[test]
    fn an_endpoint_needs_a_scheme_we_speak_and_a_host() {
        assert!(matches!(settings("ftp://host/").endpoint(), Err(InvalidUrl::Scheme(_))));
        assert!(matches!(settings("/mcp").endpoint(), Err(InvalidUrl::Scheme(_))));
    }

    #[test]
    fn settings_print_no_secret() {
        assert!(!format!("{:?}", settings("http://host/")).contains("s3cret"));
    }
}
