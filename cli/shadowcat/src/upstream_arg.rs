//! `--upstream`: a URL or a command, told apart by how it begins.

use std::str::FromStr;

use http::uri::Authority;
use shadowcat_config::{Diagnostics, Transport};
use shadowcat_proto::config::v1::upstream as raw;

/// What `--upstream` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamArg {
    /// As it was written, for messages.
    pub text: String,
    /// A Streamable HTTP server, or a program that speaks MCP over stdin and stdout.
    pub transport: Transport,
    /// The same as a configuration says it.
    pub written: Written,
}

/// The two ways in which a configuration names a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Its URL.
    Http(String),
    /// Its program and arguments.
    Stdio(Vec<String>),
}

impl Written {
    /// The upstream of this name.
    #[must_use]
    pub fn upstream(self, name: &str) -> shadowcat_proto::config::v1::Upstream {
        let (http, stdio) = match self {
            Self::Http(url) => {
                let endpoint = raw::http::Endpoint { url, weight: None };
                (Some(raw::Http { endpoints: vec![endpoint], ..raw::Http::default() }), None)
            }
            Self::Stdio(command) => (None, Some(raw::Stdio { command, ..raw::Stdio::default() })),
        };
        shadowcat_proto::config::v1::Upstream { name: name.to_owned(), http, stdio, ..Default::default() }
    }
}

/// Why a text names no upstream.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnUpstream {
    /// Nothing there.
    #[error("it is empty: give a URL such as http://localhost:3001/mcp, or a command")]
    Empty,
    /// A URL of another kind.
    #[error("{0}:// is not a transport of MCP: give an http:// or https:// URL, or a command")]
    Scheme(String),
    /// An address without `http://`.
    #[error("it looks like an address: did you mean http://{0}?")]
    Address(String),
    /// The shell's rules do not hold.
    #[error("a quote is opened and never closed: the words of a command are split as a shell does")]
    Quotes,
    /// What the validator of configurations says.
    #[error("{0}")]
    Invalid(String),
}

impl FromStr for UpstreamArg {
    type Err = NotAnUpstream;

    fn from_str(text: &str) -> Result<Self, NotAnUpstream> {
        let text = text.trim();
        let written = if text.starts_with("http://") || text.starts_with("https://") {
            Written::Http(text.to_owned())
        } else {
            Written::Stdio(words(text)?)
        };
        let transport = match &written {
            Written::Http(url) => Transport::http(url),
            Written::Stdio(command) => Transport::stdio(command.clone()),
        };
        let transport = transport.map_err(|mistakes| NotAnUpstream::Invalid(without_paths(&mistakes)))?;
        Ok(Self { text: text.to_owned(), transport, written })
    }
}

/// The words of a command, unless it is something else that was mistyped.
fn words(text: &str) -> Result<Vec<String>, NotAnUpstream> {
    let words = shell_words::split(text).map_err(|_| NotAnUpstream::Quotes)?;
    let program = words.first().filter(|program| !program.is_empty()).ok_or(NotAnUpstream::Empty)?;
    if let Some((scheme, _)) = program.split_once("://") {
        return Err(NotAnUpstream::Scheme(scheme.to_owned()));
    }
    if names_an_address(program) {
        return Err(NotAnUpstream::Address(program.clone()));
    }
    Ok(words)
}

/// The validator's sentences without the paths, which lead into a file that there is not.
fn without_paths(mistakes: &Diagnostics) -> String {
    let sentences = mistakes.entries().iter().map(|mistake| match &mistake.hint {
        Some(hint) => format!("{} ({hint})", mistake.message),
        None => mistake.message.clone(),
    });
    sentences.collect::<Vec<_>>().join("; ")
}

/// `localhost:3001/mcp`: a host and a port, which no program's name is.
fn names_an_address(program: &str) -> bool {
    let authority = program.split('/').next().unwrap_or_default();
    authority.parse::<Authority>().is_ok_and(|authority| authority.port_u16().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Vec<String> {
        let upstream: UpstreamArg = text.parse().expect(text);
        match upstream.transport {
            Transport::Stdio(stdio) => stdio.command,
            Transport::Http(http) => panic!("{text:?} is a URL: {http:?}"),
        }
    }

    fn refused(text: &str) -> String {
        text.parse::<UpstreamArg>().expect_err(text).to_string()
    }

    #[test]
    fn what_begins_with_http_is_a_url() {
        for url in ["http://localhost:3001/mcp", "https://mcp.example.com/"] {
            let upstream: UpstreamArg = url.parse().expect(url);
            assert!(matches!(upstream.transport, Transport::Http(http) if http.url == url), "{url}");
        }
    }

    #[test]
    fn all_else_is_a_command_split_as_a_shell_does() {
        assert_eq!(
            command("npx -y '@modelcontextprotocol/server everything'"),
            ["npx", "-y", "@modelcontextprotocol/server everything"]
        );
        assert_eq!(command(r#"sh -c "exec server --port=\"1\"""#), ["sh", "-c", r#"exec server --port="1""#]);
        assert_eq!(command("./server"), ["./server"]);
    }

    #[test]
    fn what_is_neither_is_refused_with_the_cure() {
        assert!(refused("").contains("http://localhost:3001/mcp"));
        assert!(refused("''").contains("empty"));
        assert!(refused("ws://localhost:3001").contains("ws:// is not a transport"));
        assert_eq!(refused("localhost:3001/mcp"), "it looks like an address: did you mean http://localhost:3001/mcp?");
        assert!(refused("sh -c 'oops").contains("never closed"));
        assert_eq!(refused("http://exa mple/"), "not a URL (as in http://127.0.0.1:3001/mcp)");
    }
}
