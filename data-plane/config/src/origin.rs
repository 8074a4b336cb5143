//! Web origins (RFC 6454): what a browser says of the page that sends a request.

use std::fmt;

use http::HeaderValue;

/// `scheme://host[:port]` in the form browsers send: lower case, without the scheme's default port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl Origin {
    /// Reads an origin; `None` when it is none.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let (scheme, host) = text.split_once("://")?;
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", ":80"),
            "https" => ("https", ":443"),
            _ => return None,
        };
        let authority: http::uri::Authority = host.parse().ok()?;
        if host.contains('@') || !crate::validate::names_a_host(&authority) {
            return None;
        }
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(default_port).unwrap_or(&host);
        HeaderValue::from_str(&format!("{scheme}://{host}")).ok().map(Self)
    }

    /// The value of an `Origin` header that equals it.
    #[must_use]
    pub fn header_value(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Whose pages may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `*`: every page of the web, which opens the route to whatever page its user visits.
    Any,
    /// The pages of this origin.
    Exactly(Origin),
}

impl AllowedOrigin {
    /// Whether a request with this `Origin` header is let in.
    #[must_use]
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(allowed) => allowed.header_value() == origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_take_the_form_that_browsers_send() {
        for (written, sent) in [
            ("https://Inspector.Example.com:443", "https://inspector.example.com"),
            ("HTTP://localhost:80", "http://localhost"),
            ("http://[::1]:6274", "http://[::1]:6274"),
        ] {
            assert_eq!(Origin::new(written).expect(written).to_string(), sent);
        }
    }

    #[test]
    fn what_no_browser_would_send_is_no_origin() {
        for text in [
            "",
            "null",
            "example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://u@a",
            "ftp://a",
            "https://a:x",
            "https://*.a",
        ] {
            assert_eq!(Origin::new(text), None, "{text:?}");
        }
    }
}
