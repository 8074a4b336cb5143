//! What the scenarios of this crate share: the program as a child process, and a line-by-line MCP client for its pipes.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Nothing here takes longer on a loaded two-core machine; a scenario that does has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test.
pub(crate) const SHADOWCAT: &str = env!("CARGO_BIN_EXE_shadowcat");

/// Waits for what must happen, within [`PATIENCE`].
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not happen within {PATIENCE:?}"))
}

/// A running `shadowcat`, killed when the test ends.
pub(crate) struct Program {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    _kept: TempDir,
}

impl Program {
    /// Starts `command`, with nothing kept from another start, and reads its standard output.
    pub(crate) fn start(mut command: Command) -> Self {
        let kept = TempDir::new().expect("a directory");
        keep_in(&mut command, kept.path());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("shadowcat starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, output, _kept: kept }
    }

    /// The address in the first line of `up`'s banner.
    pub(crate) async fn url(&mut self) -> String {
        let line = soon("the banner", self.output.next_line()).await.expect("readable").expect("a banner");
        let url = line.split(' ').find(|word| word.starts_with("http://"));
        url.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned()
    }

    /// Sends `signal` and waits for the end.
    pub(crate) async fn end_with(mut self, signal: &str) -> ExitStatus {
        let id = self.child.id().expect("running").to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().await.expect("kill runs");
        assert!(sent.success(), "{signal} could not be sent");
        soon("the end of shadowcat", self.child.wait()).await.expect("waited for")
    }
}

/// `shadowcat` with `arguments`, free of the environment of whoever runs the tests.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(SHADOWCAT);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SHADOWCAT_")) {
        command.env_remove(name);
    }
    command.args(arguments).kill_on_drop(true);
    command
}

/// Points what `up` leaves behind, its fleet and its context, to `directory`.
pub(crate) fn keep_in(command: &mut Command, directory: &Path) {
    command.env("SHADOWCAT_DATA_DIR", directory.join("data"));
    command.env("SHADOWCAT_CONTEXTS", directory.join("contexts.yaml"));
}

/// An MCP client at the pipes of `shadowcat demo-server`.
pub(crate) struct PipeClient {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl PipeClient {
    /// Starts the server; nothing has been said yet.
    pub(crate) fn start() -> Self {
        let mut command = command(&["demo-server"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the demo server starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { input: child.stdin.take(), output, child }
    }

    /// Starts the server and opens a session of 2025-11-25 with `capabilities`.
    pub(crate) async fn initialized(capabilities: &Value) -> Self {
        let mut client = Self::start();
        let answer = client.ask(&initialize(capabilities)).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        client
    }

    /// Writes one message.
    pub(crate) async fn send(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("still open");
        soon("writing", input.write_all(format!("{message}\n").as_bytes())).await.expect("the server reads");
    }

    /// Reads one message.
    pub(crate) async fn receive(&mut self) -> Value {
        let line = soon("an answer", self.output.next_line()).await.expect("readable").expect("a message");
        serde_json::from_str(&line).expect("a JSON message")
    }

    /// Writes a request and reads the next message.
    pub(crate) async fn ask(&mut self, request: &Value) -> Value {
        self.send(request).await;
        self.receive().await
    }

    /// Closes the server's input and waits for its end.
    pub(crate) async fn close(mut self) -> ExitStatus {
        self.input = None;
        soon("the server's end", self.child.wait()).await.expect("waited for")
    }
}

/// `initialize` of 2025-11-25.
pub(crate) fn initialize(capabilities: &Value) -> Value {
    json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": capabilities,
            "clientInfo": { "name": "tests", "version": "0" },
        },
    })
}

/// A legacy `tools/call`.
pub(crate) fn call(id: u32, tool: &str, arguments: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
}

/// A request of 2026-07-28: `params` with the metadata that version demands.
pub(crate) fn modern(id: u32, method: &str, mut params: Value, capabilities: &Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// The text of a tool's result.
pub(crate) fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"))
}

/// What a run that has ended told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `shadowcat tape` with `arguments`, on a machine without tapes of its own.
pub(crate) async fn tape(arguments: &[&str]) -> Told {
    let empty = TempDir::new().expect("a directory");
    tape_in(empty.path(), empty.path(), arguments).await
}

/// The same from a directory, with another that keeps what is recorded.
pub(crate) async fn tape_in(here: &Path, data: &Path, arguments: &[&str]) -> Told {
    let mut command = command(&["tape"]);
    command.args(arguments).current_dir(here).env("SHADOWCAT_DATA_DIR", data);
    let output = soon("the end of shadowcat tape", command.output()).await.expect("shadowcat runs");
    Told {
        code: output.status.code().expect("an exit code"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}
