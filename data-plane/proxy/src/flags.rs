//! The flags of `shadowcat-data-plane`: low-level text here, meaning in [`Flags::membership`].

use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgGroup, Command, Parser};
use shadowcat_config::{RedisUrl, is_name};
use shadowcat_proxy::LogFormat;
use shadowcat_proxy::fleet::{ControlPlaneUrl, JoinToken, MemberSettings};
use shadowcat_proxy::record::SpoolSettings;

/// Where operators are served unless they choose otherwise.
const DEFAULT_OPS_BIND: &str = "127.0.0.1:9090";

/// Where a member of a fleet keeps what it needs for its next start.
const DEFAULT_DATA_DIR: &str = "shadowcat-data";

/// One replica of a Shadowcat fleet: a gateway between MCP clients and MCP servers.
#[derive(Debug, Parser)]
#[command(version, group(ArgGroup::new("source").required(true).args(["config", "control_plane"])))]
pub(crate) struct Flags {
    /// The configuration: a YAML or JSON file, read again when it changes
    #[arg(long, env = "SHADOWCAT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The control plane to get the configuration from, as https://HOST or https://HOST:PORT
    #[arg(long, env = "SHADOWCAT_CONTROL_PLANE", value_name = "URL")]
    pub(crate) control_plane: Option<ControlPlaneUrl>,
    /// Where sessions are shared with other replicas; overrides node.redis
    #[arg(long, env = "SHADOWCAT_REDIS", value_name = "URL", hide_env_values = true)]
    #[arg(value_parser = Private::<RedisUrl>::default())]
    pub(crate) redis: Option<RedisUrl>,
    /// The address for MCP clients; overrides node.bind [default: 127.0.0.1:8080]
    #[arg(long, env = "SHADOWCAT_BIND", value_name = "ADDRESS")]
    pub(crate) bind: Option<SocketAddr>,
    /// The address for health and metrics
    #[arg(long, env = "SHADOWCAT_OPS_BIND", value_name = "ADDRESS", default_value = DEFAULT_OPS_BIND)]
    pub(crate) ops_bind: SocketAddr,
    /// What to log: a level, or directives such as info,shadowcat_proxy=debug
    #[arg(long, env = "SHADOWCAT_LOG", value_name = "DIRECTIVES", default_value = "info")]
    pub(crate) log: String,
    /// How to log
    #[arg(long, env = "SHADOWCAT_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    // Last: its heading would cover what follows.
    #[command(flatten)]
    membership: Membership,
}

/// What means nothing without a control plane.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --control-plane")]
struct Membership {
    /// Lets this machine into the fleet; needed once (shadowcatctl nodes token)
    #[arg(long, env = "SHADOWCAT_JOIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    #[arg(value_parser = Private::<JoinToken>::default(), conflicts_with = "config")]
    join_token: Option<JoinToken>,
    /// What to start from when neither disk nor control plane has a configuration (shadowcatctl show --seed)
    #[arg(long, env = "SHADOWCAT_SEED", value_name = "FILE", conflicts_with = "config")]
    seed: Option<PathBuf>,
    /// Where identity and configuration are kept for the next start; one for each data plane
    #[arg(long, env = "SHADOWCAT_DATA_DIR", value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    data_dir: PathBuf,
    /// Something this machine is, such as region=eu; may be repeated
    #[arg(long, env = "SHADOWCAT_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', conflicts_with = "config")]
    label: Vec<Label>,
    /// The name to join under; made up by the control plane without one
    #[arg(long, env = "SHADOWCAT_NODE", value_name = "NAME", value_parser = node_name, conflicts_with = "config")]
    node: Option<String>,
}

/// Reads a value that has a secret in it: what is wrong with it is told without it, for it may end in a log.
struct Private<T>(PhantomData<fn() -> T>);

impl<T> Default for Private<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Private<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T: FromStr<Err: fmt::Display> + Clone + Send + Sync + 'static> TypedValueParser for Private<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let refused = |why: String| {
            let of = arg.map_or_else(String::new, |arg| format!("{arg}: "));
            command.clone().error(ErrorKind::ValueValidation, format!("{of}{why}"))
        };
        let text = value.to_str().ok_or_else(|| refused("this is no UTF-8 text".to_owned()))?;
        text.parse().map_err(|why: T::Err| refused(why.to_string()))
    }
}

/// `KEY=VALUE`.
#[derive(Debug, Clone)]
struct Label(String, String);

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, as in region=eu")?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || text.len() > LABEL_BYTES_MAX {
            return Err("a label has a key, and at most 256 characters");
        }
        Ok(Self(key.to_owned(), value.to_owned()))
    }
}

/// Refused here, before anybody is asked.
fn node_name(text: &str) -> Result<String, &'static str> {
    is_name(text).then(|| text.to_owned()).ok_or("a name has lower-case letters, digits and inner hyphens, 63 at most")
}

/// A label stands in tables and selectors.
const LABEL_BYTES_MAX: usize = 256;

impl Flags {
    /// Where what is recorded is kept, if the configuration is a file.
    pub(crate) fn spool(&self, bounds: shadowcat_config::Spool) -> SpoolSettings {
        SpoolSettings { dir: self.membership.data_dir.join("spool"), node: String::new(), bounds }
    }

    /// What the flags say of the fleet; none if the configuration is a file.
    pub(crate) fn membership(&self) -> Option<MemberSettings> {
        let Membership { join_token, seed, data_dir, label, node } = &self.membership;
        Some(MemberSettings {
            control_plane: self.control_plane.clone()?,
            join_token: join_token.clone(),
            seed: seed.clone(),
            data_dir: data_dir.clone(),
            labels: label.iter().map(|Label(key, value)| (key.clone(), value.clone())).collect(),
            node: node.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_cannot_be_read_is_not_repeated() {
        for flag in ["--join-token", "--redis"] {
            let given = ["shadowcat-data-plane", "--control-plane", "https://h", flag, "nope://:hunter2@h"];
            let told = Flags::try_parse_from(given).unwrap_err().to_string();
            assert!(told.contains(flag) && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_name_that_no_node_can_have_is_refused_before_anybody_is_asked() {
        let named = |name| {
            Flags::try_parse_from(["shadowcat-data-plane", "--control-plane", "https://h", "--node", name]).is_ok()
        };
        assert!(named("edge-1"));
        for name in ["", "One Two", "edge_1", "-edge", "edge-", &"e".repeat(64)] {
            assert!(!named(name), "{name:?}");
        }
    }
}
