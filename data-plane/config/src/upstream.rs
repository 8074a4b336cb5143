//! An upstream: the MCP server behind routes, over HTTP or over the standard input and output of a child.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use crate::defaults::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_CONNECTION_IDLE_TIMEOUT, DEFAULT_FIRST_BYTE_TIMEOUT, DEFAULT_MAX_CONNECTIONS,
    DEFAULT_STREAM_IDLE_TIMEOUT,
};
use crate::{Diagnostics, Name, SecretRef, validate};

/// An MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upstream {
    /// Unique among upstreams.
    pub name: Name,
    /// How it is spoken to.
    pub transport: Transport,
}

/// How a server is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP.
    Http(HttpUpstream),
    /// Standard input and output of a child process.
    Stdio(StdioUpstream),
}

impl Transport {
    /// A server at `url`, everything else by default.
    ///
    /// # Errors
    /// When the validator would refuse the URL in a file.
    pub fn http(url: &str) -> Result<Self, Diagnostics> {
        validate::http_transport(url)
    }

    /// A server that `command` (program and arguments) starts, everything else by default.
    ///
    /// # Errors
    /// When the validator would refuse the command in a file.
    pub fn stdio(command: Vec<String>) -> Result<Self, Diagnostics> {
        validate::stdio_transport(command)
    }
}

/// A server that speaks Streamable HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpUpstream {
    /// `http` or `https`, a host, and the path of the MCP endpoint.
    pub url: Uri,
    /// What every request carries, in place of what the client sent under the same name.
    pub headers: Vec<UpstreamHeader>,
    /// The connection pool.
    pub connections: Connections,
    /// How long the gateway waits.
    pub timeouts: UpstreamTimeouts,
}

/// A header that every request to an upstream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamHeader {
    /// Its name; never one that frames a message or carries MCP's own state.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderSource,
}

/// Where a header's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderSource {
    /// The configuration.
    Value(HeaderValue),
    /// A secret, resolved on the node.
    Secret(SecretRef),
}

/// The connection pool of an HTTP upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// How many may be open at once.
    pub max: u32,
    /// How long an unused one is kept.
    pub idle_timeout: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self { max: DEFAULT_MAX_CONNECTIONS, idle_timeout: DEFAULT_CONNECTION_IDLE_TIMEOUT }
    }
}

/// How long the gateway waits for an HTTP upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamTimeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of a streamed answer.
    pub idle: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: DEFAULT_CONNECT_TIMEOUT,
            first_byte: DEFAULT_FIRST_BYTE_TIMEOUT,
            idle: DEFAULT_STREAM_IDLE_TIMEOUT,
        }
    }
}

/// A server that is a child process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StdioUpstream {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// What its environment has beside that of the gateway.
    pub env: Vec<EnvVar>,
    /// Who shares a child.
    pub sharing: Sharing,
    /// Unused for this long, a child is stopped.
    pub stop_when_idle_for: Duration,
}

/// A variable of a child's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: ValueSource,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// The configuration.
    Value(String),
    /// A secret, resolved on the node.
    Secret(SecretRef),
}

/// Who shares a child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Every session has a child of its own.
    PerSession,
    /// One child serves every session, with request ids rewritten.
    Shared,
}
