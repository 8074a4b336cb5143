//! What `up` prints once it serves: the address, an entry for a client's configuration, and a line to try.

use std::fmt;

/// The greeting; its text is what README shows.
#[derive(Debug)]
pub(super) struct Banner<'a> {
    /// Where clients find the gateway.
    pub(super) url: &'a str,
    /// What stands behind it, as a person would name it.
    pub(super) behind: &'a str,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, behind } = self;
        write!(
            f,
            r#"Shadowcat listens on {url} in front of {behind}.

For the configuration of your MCP client:

    {{ "mcpServers": {{ "shadowcat": {{ "type": "http", "url": "{url}" }} }} }}

To try it from a shell:

    curl {url} -H 'content-type: application/json' \
      -d '{{"jsonrpc":"2.0","id":1,"method":"tools/list"}}'

Ctrl-C stops it.
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_entry_is_json_and_names_the_address() {
        let banner = Banner { url: "http://127.0.0.1:8080/mcp", behind: "the built-in demo server" }.to_string();
        let entry = banner.lines().find(|line| line.contains("mcpServers")).expect("an entry");
        let entry: serde_json::Value = serde_json::from_str(entry).expect("JSON");
        assert_eq!(entry["mcpServers"]["shadowcat"]["url"], "http://127.0.0.1:8080/mcp");
        assert_eq!(entry["mcpServers"]["shadowcat"]["type"], "http");
    }

    #[test]
    fn the_line_to_try_carries_a_json_rpc_request() {
        let banner = Banner { url: "http://127.0.0.1:8080/mcp", behind: "x" }.to_string();
        let body = banner.split("-d '").nth(1).and_then(|rest| rest.split('\'').next()).expect("a body");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).expect("JSON")["method"], "tools/list");
    }
}
