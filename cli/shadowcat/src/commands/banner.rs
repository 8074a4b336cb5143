//! What `up` prints once it serves: the address, an entry for a client's configuration, and a line to try.

use std::fmt;

/// The greeting; its text is what README shows.
#[derive(Debug)]
pub(super) struct Banner<'a> {
    /// Where clients find the gateway.
    pub(super) url: &'a str,
    /// What stands behind it, as a person would name it.
    pub(super) behind: &'a str,
    /// Where operators find the control plane.
    pub(super) control_plane: &'a str,
    /// What `shadowcatctl` is to be told first, where another context than ours is the current one.
    pub(super) context: Option<&'static str>,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, behind, control_plane, context } = self;
        write!(
            f,
            r#"Shadowcat listens on {url} in front of {behind}.

For the configuration of your MCP client:

    {{ "mcpServers": {{ "shadowcat": {{ "type": "http", "url": "{url}" }} }} }}

To try it from a shell:

    curl {url} -H 'content-type: application/json' \
      -d '{{"jsonrpc":"2.0","id":1,"method":"tools/list"}}'

To look after it from another terminal (control plane at {control_plane}):

"#
        )?;
        if let Some(context) = context {
            writeln!(f, "    shadowcatctl context use {context}")?;
        }
        f.write_str("    shadowcatctl status\n\nCtrl-C stops it.\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner() -> Banner<'static> {
        let (url, control_plane) = ("http://127.0.0.1:8080/mcp", "http://127.0.0.1:7070");
        Banner { url, behind: "the built-in demo server", control_plane, context: None }
    }

    #[test]
    fn the_client_entry_is_json_and_names_the_address() {
        let banner = banner().to_string();
        let entry = banner.lines().find(|line| line.contains("mcpServers")).expect("an entry");
        let entry: serde_json::Value = serde_json::from_str(entry).expect("JSON");
        assert_eq!(entry["mcpServers"]["shadowcat"]["url"], "http://127.0.0.1:8080/mcp");
        assert_eq!(entry["mcpServers"]["shadowcat"]["type"], "http");
    }

    #[test]
    fn the_line_to_try_carries_a_json_rpc_request() {
        let banner = banner().to_string();
        let body = banner.split("-d '").nth(1).and_then(|rest| rest.split('\'').next()).expect("a body");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).expect("JSON")["method"], "tools/list");
    }
}
