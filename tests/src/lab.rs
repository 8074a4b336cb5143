//! What `tests/run` installed: MCP servers and clients that nobody here wrote, and the interpreters to run them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use crate::{Program, free_port, program, within};

/// An interpreter starts in a second; the sum of a client's calls takes a few more.
const CLIENT_WITHIN: Duration = Duration::from_secs(90);

/// The installed packages.
#[derive(Debug, Clone)]
pub struct Lab {
    packages: PathBuf,
    sources: PathBuf,
}

impl Lab {
    /// The lab of this repository.
    ///
    /// # Panics
    ///
    /// If it is not installed.
    pub fn open() -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let lab = Self { packages: tests.join(".lab"), sources: tests.join("lab") };
        for program in [lab.node(), lab.python(), lab.package("@modelcontextprotocol/sdk")] {
            assert!(program.exists(), "{} is not there: run tests/run setup", program.display());
        }
        lab
    }

    /// Node.js.
    pub fn node(&self) -> PathBuf {
        self.packages.join("node/bin/node")
    }

    /// Python, with the MCP SDK.
    pub fn python(&self) -> PathBuf {
        self.packages.join("python/bin/python")
    }

    /// An installed npm package's folder.
    pub fn package(&self, name: &str) -> PathBuf {
        self.packages.join("npm/node_modules").join(name)
    }

    /// A file of `tests/lab`.
    pub fn source(&self, path: &str) -> PathBuf {
        self.sources.join(path)
    }

    /// The command of server-everything over stdio.
    pub fn everything(&self) -> Vec<String> {
        vec![
            text(&self.node()),
            text(&self.package("@modelcontextprotocol/server-everything/dist/index.js")),
            "stdio".into(),
        ]
    }

    /// The command of the filesystem server, which shows `folder`, over stdio.
    pub fn filesystem(&self, folder: &Path) -> Vec<String> {
        vec![
            text(&self.node()),
            text(&self.package("@modelcontextprotocol/server-filesystem/dist/index.js")),
            text(folder),
        ]
    }

    /// server-everything over Streamable HTTP, and its URL.
    pub fn start_everything(&self, dir: &Path) -> (Program, String) {
        let port = free_port();
        let mut command = program::command(self.node());
        // It has no option for the address it binds, and would bind all of them.
        command.arg("--require").arg(self.source("servers/loopback.cjs"));
        command.arg(self.package("@modelcontextprotocol/server-everything/dist/index.js")).arg("streamableHttp");
        let program = Program::start("everything", dir, command.env("PORT", port.to_string()));
        (program, format!("http://127.0.0.1:{port}/mcp"))
    }

    /// The server written with the Python SDK, over Streamable HTTP, and its URL.
    pub fn start_python_server(&self, dir: &Path) -> (Program, String) {
        let port = free_port();
        let mut command = program::command(self.python());
        command.arg(self.source("servers/python_server.py")).arg(port.to_string());
        (Program::start("python-server", dir, &mut command), format!("http://127.0.0.1:{port}/mcp"))
    }

    /// Runs a client of `tests/lab/clients` to its end.
    pub async fn run_client(&self, script: &str, arguments: &[&str]) -> Output {
        let interpreter = if Path::new(script).extension().is_some_and(|extension| extension == "py") {
            self.python()
        } else {
            self.node()
        };
        self.run(&interpreter, &self.source(&format!("clients/{script}")), arguments).await
    }

    /// Runs the MCP Inspector without its user interface.
    pub async fn run_inspector(&self, arguments: &[&str]) -> Output {
        self.run(&self.node(), &self.packages.join("npm/node_modules/.bin/mcp-inspector"), arguments).await
    }

    /// Runs the official conformance suite's scenarios for servers of 2025-11-25, and returns for each how many of its checks
    /// passed. `results` is where it leaves its files.
    pub async fn run_conformance(&self, url: &str, results: &Path) -> BTreeMap<String, u32> {
        let script = self.package("@modelcontextprotocol/conformance/dist/index.js");
        let arguments =
            ["server", "--url", url, "--suite", "all", "--spec-version", "2025-11-25", "-o", &text(results)];
        let output = self.run(&self.node(), &script, &arguments).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (_, summary) = said.split_once("=== SUMMARY ===").unwrap_or_else(|| panic!("no summary in {said}"));
        summary.lines().filter_map(conformance_line).collect()
    }

    async fn run(&self, interpreter: &Path, script: &Path, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(program::command(interpreter));
        command.arg(script).args(arguments).env("LAB_PACKAGES", self.packages.join("npm")).kill_on_drop(true);
        let what = format!("{} ends", script.display());
        within(&what, CLIENT_WITHIN, command.output())
            .await
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", script.display()))
    }
}

/// `✓ ping: 2 passed, 0 failed`
fn conformance_line(line: &str) -> Option<(String, u32)> {
    let (scenario, checks) = line.split_once(": ")?;
    let passed = checks.split_once(" passed")?.0.parse().ok()?;
    let scenario = scenario.trim_start_matches(|mark: char| !mark.is_ascii_alphanumeric());
    (scenario != "Total").then(|| (scenario.to_owned(), passed))
}

fn text(path: &Path) -> String {
    path.to_str().expect("the repository's path is UTF-8").to_owned()
}
