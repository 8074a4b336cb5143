//! Settings of one process.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::defaults::{DEFAULT_SPOOL_AGE, DEFAULT_SPOOL_SIZE};

/// Settings of one process. What is absent is left to flags and their defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The listener for MCP.
    pub bind: Option<SocketAddr>,
    /// Serves HTTPS instead of HTTP.
    pub tls: Option<Tls>,
    /// Where sessions are shared between replicas.
    pub redis: Option<RedisUrl>,
    /// Where recorded traffic waits.
    pub spool: Spool,
}

/// Recorded traffic on this machine's disk. Beyond a bound the oldest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spool {
    /// Bytes.
    pub max_size: u64,
    /// Since it was recorded.
    pub max_age: Duration,
}

impl Default for Spool {
    fn default() -> Self {
        Self { max_size: DEFAULT_SPOOL_SIZE, max_age: DEFAULT_SPOOL_AGE }
    }
}

/// The certificate a listener shows. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Printed without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// The URL with its password, for the one place that connects.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no [`RedisUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a Redis URL: write redis://[user:password@]host[:port][/database], or rediss:// for TLS")]
pub struct InvalidRedisUrl;

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        let uri: http::Uri = text.parse().map_err(|_| InvalidRedisUrl)?;
        let authority = uri.authority().ok_or(InvalidRedisUrl)?;
        let scheme = matches!(uri.scheme_str(), Some("redis" | "rediss"));
        let database = uri.path().trim_start_matches('/');
        let numbered = database.is_empty() || database.parse::<u16>().is_ok();
        if scheme && numbered && crate::validate::names_a_host(authority) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRedisUrl)
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str("***");
        };
        match rest.rsplit_once('@') {
            Some((_, host)) => write!(f, "{scheme}://***@{host}"),
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_url_is_printed_without_its_password() {
        let url: RedisUrl = "rediss://default:hunter2@cache.example.com:6380/3".parse().expect("valid");
        assert_eq!(
            format!("{url} {url:?}"),
            "rediss://***@cache.example.com:6380/3 rediss://***@cache.example.com:6380/3"
        );
        assert_eq!(url.as_str(), "rediss://default:hunter2@cache.example.com:6380/3");
    }

    #[test]
    fn what_is_no_redis_url_is_refused() {
        for text in
            ["", "127.0.0.1:6379", "http://host", "redis://", "redis://:pw@", "redis://h:99999", "redis://h/name"]
        {
            assert_eq!(text.parse::<RedisUrl>(), Err(InvalidRedisUrl), "{text:?}");
        }
    }
}
