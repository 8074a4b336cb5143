//! The command line: what a person may write, and what it means.
//!
//! Every option of what serves is also `SHADOWCAT_<OPTION>` in the environment; the command line wins. Nothing here opens a file or a
//! socket.

mod tape;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use shadowcat_proxy::{DEFAULT_BIND, LogFormat};

pub use self::tape::{TapeCommand, TapeListArgs, TapeShowArgs, TapeValidateArgs};
use crate::upstream_arg::UpstreamArg;

/// Beside the gateway's default port, so that both run on one machine as they come.
const DEFAULT_DEMO_BIND: &str = "127.0.0.1:3001";

/// Everything at `info`, but the SDK of the demo server, which reports every session there.
const DEFAULT_LOG: &str = "info,rmcp=warn";

/// An MCP gateway on one machine.
#[derive(Debug, Parser)]
#[command(name = "shadowcat", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    /// Where log lines go and which.
    #[command(flatten)]
    pub log: LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options every command has.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Which lines are logged to standard error, as `RUST_LOG` directives: debug, or info,shadowcat_proxy=debug
    #[arg(long = "log", env = "SHADOWCAT_LOG", value_name = "DIRECTIVES", default_value = DEFAULT_LOG, global = true)]
    pub directives: String,
    /// The shape of a log line
    #[arg(
        long = "log-format",
        env = "SHADOWCAT_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    pub format: LogFormat,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a gateway as --upstream says, else as the last version does, else in front of the built-in demo server
    Up(UpArgs),
    /// Serve a gateway in front of one MCP server, or as a configuration file says
    Reverse(ReverseArgs),
    /// Recorded traffic on this machine
    #[command(subcommand)]
    Tape(TapeCommand),
    /// Be the demo MCP server, over stdin and stdout unless told otherwise
    DemoServer(DemoServerArgs),
}

/// Options of `up`.
#[derive(Debug, clap::Args)]
pub struct UpArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, env = "SHADOWCAT_BIND", value_name = "ADDRESS", value_parser = address, default_value_t = DEFAULT_BIND)]
    pub bind: SocketAddr,
    /// The MCP server: an http:// or https:// URL, or a command that speaks MCP over stdin and stdout. What was applied before is
    /// replaced by a version of its own
    #[arg(long, env = "SHADOWCAT_UPSTREAM", value_name = "URL|COMMAND", hide_env_values = true)]
    pub upstream: Option<UpstreamArg>,
    /// Where versions, nodes and tokens are kept from start to start [default: the platform's data directory]
    #[arg(long, env = "SHADOWCAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Options of `reverse`.
#[derive(Debug, clap::Args)]
pub struct ReverseArgs {
    /// Where to listen; port 0 takes a free one [default: the file's node.bind, else 127.0.0.1:8080]
    #[arg(long, env = "SHADOWCAT_BIND", value_name = "ADDRESS", value_parser = address)]
    pub bind: Option<SocketAddr>,
    /// What stands behind the gateway.
    #[command(flatten)]
    pub behind: Behind,
    /// Where recorded traffic is kept, if the file asks for any [default: the platform's data directory]
    #[arg(long, env = "SHADOWCAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// What `reverse` serves: exactly one of the two.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Behind {
    /// The MCP server: an http:// or https:// URL, or a command that speaks MCP over stdin and stdout
    #[arg(long, env = "SHADOWCAT_UPSTREAM", value_name = "URL|COMMAND", hide_env_values = true)]
    pub upstream: Option<UpstreamArg>,
    /// A configuration file, YAML or JSON; changes to it take effect while the gateway runs
    #[arg(long, env = "SHADOWCAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `demo-server`.
#[derive(Debug, clap::Args)]
pub struct DemoServerArgs {
    /// Serve Streamable HTTP at /mcp instead of stdin and stdout
    #[arg(long, env = "SHADOWCAT_HTTP", value_parser = FalseyValueParser::new())]
    pub http: bool,
    /// Where --http listens; port 0 takes a free one
    #[arg(long, env = "SHADOWCAT_BIND", value_name = "ADDRESS", value_parser = address, default_value = DEFAULT_DEMO_BIND)]
    pub bind: SocketAddr,
}

impl Args {
    /// Reads the process's command line and environment.
    ///
    /// # Errors
    ///
    /// A usage error, or a request for help or the version; `clap::Error::exit` prints it in the right place.
    pub fn read() -> Result<Self, clap::Error> {
        Self::read_from(std::env::args_os())
    }

    /// As [`Args::read`], from `words` instead of the process's command line.
    ///
    /// # Errors
    ///
    /// As [`Args::read`].
    pub fn read_from<I, T>(words: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let matches = Self::command().try_get_matches_from(words)?;
        let args = Self::from_arg_matches(&matches)?;
        args.check(&matches)?;
        Ok(args)
    }

    /// What clap's own rules cannot say: `--bind` without `--http` would do nothing, but a `SHADOWCAT_BIND`
    /// that stands in the environment for the other commands is no mistake.
    fn check(&self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let Command::DemoServer(DemoServerArgs { http: false, .. }) = self.command else {
            return Ok(());
        };
        let bind = matches.subcommand().and_then(|(_, options)| options.value_source("bind"));
        if bind == Some(ValueSource::CommandLine) {
            return Err(Self::command().error(
                clap::error::ErrorKind::MissingRequiredArgument,
                "--bind has no meaning over stdin and stdout: add --http, or leave it out",
            ));
        }
        Ok(())
    }
}

/// As the standard library reads it, with an error that shows how it is written.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("give an IP address and a port, such as {DEFAULT_BIND}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Args, String> {
        Args::read_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent_in_itself() {
        Args::command().debug_assert();
    }

    #[test]
    fn up_needs_no_option() {
        let args = read("shadowcat up").expect("valid");
        let Command::Up(up) = args.command else { panic!("not up: {args:?}") };
        assert_eq!(up.bind, DEFAULT_BIND);
        assert!(up.upstream.is_none());
    }

    #[test]
    fn reverse_wants_an_upstream_or_a_file_and_not_both() {
        let nothing = read("shadowcat reverse").expect_err("nothing to serve");
        assert!(nothing.contains("--upstream") && nothing.contains("--config"), "{nothing}");
        let both = read("shadowcat reverse --upstream http://localhost:1/mcp --config fleet.yaml")
            .expect_err("two things to serve");
        assert!(both.contains("cannot be used with"), "{both}");
        read("shadowcat reverse --config fleet.yaml").expect("valid");
    }

    #[test]
    fn a_bind_address_without_http_is_refused_with_the_cure() {
        let error = read("shadowcat demo-server --bind 127.0.0.1:0").expect_err("does nothing");
        assert!(error.contains("add --http"), "{error}");
        read("shadowcat demo-server --http --bind 127.0.0.1:0").expect("valid");
    }

    #[test]
    fn log_options_may_stand_after_the_command() {
        let args = read("shadowcat up --log debug --log-format json").expect("valid");
        assert_eq!(args.log.directives, "debug");
        assert_eq!(args.log.format, LogFormat::Json);
    }
}
