//! The program as a child process, free of the environment of whoever runs the tests.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Nothing here takes longer on a loaded two-core machine; a test that does has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A call of the program that has not begun.
pub(crate) struct Ctl {
    command: Command,
    input: Option<String>,
    /// A home of its own, so that no test meets the contexts of another.
    home: TempDir,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with these arguments.
pub(crate) fn ctl(arguments: &[&str]) -> Ctl {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shadowcatctl"));
    let own = |name: &str| name.starts_with("SHADOWCAT_") || matches!(name, "COLUMNS" | "NO_COLOR" | "XDG_CONFIG_HOME");
    for (name, _) in std::env::vars_os().filter(|(name, _)| own(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    let home = TempDir::new().expect("a directory");
    command.env("HOME", home.path()).args(arguments).kill_on_drop(true);
    Ctl { command, input: None, home }
}

impl Ctl {
    /// Against this server, with this token.
    pub(crate) fn at(mut self, server: &str, token: &str) -> Self {
        self.command.env("SHADOWCAT_SERVER", server).env("SHADOWCAT_TOKEN", token);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn in_directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// With this on standard input.
    pub(crate) fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// Runs it to its end.
    pub(crate) async fn run(mut self) -> Told {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("shadowcatctl starts");
        if let Some(text) = self.input {
            let mut stdin = child.stdin.take().expect("a pipe");
            stdin.write_all(text.as_bytes()).await.expect("it reads");
        }
        let output =
            tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").expect("waited for");
        drop(self.home);
        Told {
            code: output.status.code().expect("no signal"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}
