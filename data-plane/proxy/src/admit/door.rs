//! Who may knock: the `Host` and `Origin` of a request, which keep a web page from reaching a gateway on the same machine
//! (MCP 2025-11-25, "Transports", security warning: DNS rebinding).

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Request};
use shadowcat_config::Cors;
use shadowcat_mcp::{ErrorKind, GatewayError};

/// The door of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Bound to a loopback address: only loopback names and loopback pages may ask.
    Loopback,
    /// Bound to an address others can reach: any `Host`, but only pages that a route names.
    Open,
}

impl Door {
    /// Checks `Host` and `Origin`.
    pub(crate) fn check<B>(self, request: &Request<B>, cors: Option<&Cors>) -> Result<(), GatewayError> {
        if self == Self::Loopback {
            check_host(request)?;
        }
        self.check_origin(request.headers(), cors)
    }

    fn check_origin(self, headers: &HeaderMap, cors: Option<&Cors>) -> Result<(), GatewayError> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let local = || self == Self::Loopback && origin.to_str().is_ok_and(is_loopback_origin);
        let allowed = cors.is_some_and(|cors| cors.allows(origin)) || local();
        if allowed {
            return Ok(());
        }
        Err(ErrorKind::OriginRefused.into())
    }
}

fn check_host<B>(request: &Request<B>) -> Result<(), GatewayError> {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let authority = named.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    match authority {
        Some(authority) if is_loopback_name(host_of(authority)) => Ok(()),
        _ => {
            let message = "this gateway listens on loopback and answers only to localhost, 127.0.0.1 or [::1] as Host; \
                           bind it to another address to serve other names";
            Err(GatewayError::new(ErrorKind::HostRefused, message))
        }
    }
}

/// `host[:port]` without its port; IPv6 literals without their brackets.
pub(crate) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn is_loopback_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(|authority| is_loopback_name(host_of(authority)))
}

fn is_loopback_name(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, origin: Option<&str>) -> Request<()> {
        let mut request = Request::post("/mcp").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn a_loopback_door_answers_to_loopback_names_only() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:8080", "LOCALHOST"] {
            assert!(Door::Loopback.check(&request(host, None), None).is_ok(), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1:8080", "[2001:db8::1]", ""] {
            assert!(Door::Loopback.check(&request(host, None), None).is_err(), "{host}");
            assert!(Door::Open.check(&request(host, None), None).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        assert!(Door::Loopback.check(&request("localhost", Some("http://localhost:6274")), None).is_ok());
        for origin in ["http://evil.example", "null", "http://127.0.0.1.evil.example", "localhost"] {
            assert!(Door::Loopback.check(&request("localhost", Some(origin)), None).is_err(), "{origin}");
            assert!(Door::Open.check(&request("localhost", Some(origin)), None).is_err(), "{origin}");
        }
    }
}
