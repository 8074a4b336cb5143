//! `https://host:port` or `http://loopback:port`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;

/// The gRPC port of a control plane, where a URL names none.
const DEFAULT_PORT: u16 = 7070;

/// Where a control plane is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Whether the way there is encrypted.
    pub security: Security,
    /// A name or an address, IPv6 without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// `http://`, which never leaves the machine.
    Loopback,
    /// `https://`.
    Tls,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = || format!("{text:?} is no server; give a URL such as https://control.example.com:{DEFAULT_PORT}");
        let uri: Uri = text.parse().map_err(|_| wanted())?;
        let security = match uri.scheme_str() {
            Some("https") => Security::Tls,
            Some("http") => Security::Loopback,
            _ => return Err(wanted()),
        };
        let authority = uri.authority().ok_or_else(wanted)?;
        if authority.as_str().contains('@') || uri.path() != "/" || uri.query().is_some() {
            return Err(wanted());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        // Not `Authority::port`, which takes a number that is no port for none.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => DEFAULT_PORT,
            after => after.and_then(|after| after.strip_prefix(':')?.parse().ok()).ok_or_else(wanted)?,
        };
        if security == Security::Loopback && !means_this_machine(&host) {
            return Err(format!(
                "{text}: a token in plain text does not leave this machine; use https:// and the authority's fingerprint (--ca)"
            ));
        }
        Ok(Self { security, host, port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.security {
            Security::Loopback => "http",
            Security::Tls => "https",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

fn means_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_url_with_a_port_or_the_usual_one() {
        for (written, read) in [
            ("https://control.example.com", "https://control.example.com:7070"),
            ("https://10.0.0.1:1/", "https://10.0.0.1:1"),
            ("http://localhost:7070", "http://localhost:7070"),
            ("http://[::1]:7", "http://[::1]:7"),
        ] {
            assert_eq!(written.parse::<Server>().expect(written).to_string(), read);
        }
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        for elsewhere in ["http://control.example.com", "http://10.0.0.1:7070", "http://localhost.example.com"] {
            let refused = elsewhere.parse::<Server>().expect_err(elsewhere);
            assert!(refused.contains("--ca"), "{refused}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_with_an_example() {
        for text in [
            "",
            "localhost:7070",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://a/b",
            "https://a:99999",
            "https://a?b",
        ] {
            let refused = text.parse::<Server>().expect_err(text);
            assert!(refused.contains("such as https://"), "{refused}");
        }
    }
}
