//! A Redis of the test's own.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::command;
use crate::{Program, Signal, eventually, free_port};

/// From start to the first answer, on a machine busy with other tests.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// A Redis on a free port of loopback, which keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    program: Program,
}

impl Redis {
    /// Starts it and waits until it answers.
    pub async fn start(dir: &Path) -> Self {
        Self::start_at(dir, free_port()).await
    }

    async fn start_at(dir: &Path, port: u16) -> Self {
        let mut redis = command("redis-server");
        redis.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        let program = Program::start("redis", dir, redis.current_dir(dir));
        let redis = Self { port, program };
        eventually("redis answers", READY_WITHIN, async || redis.send("PING").await).await;
        redis
    }

    /// As a configuration names it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops answering, with every connection open: the machine that hangs.
    pub fn pause(&self) {
        self.program.signal(Signal::STOP);
    }

    /// Answers again.
    pub fn resume(&self) {
        self.program.signal(Signal::CONT);
    }

    /// Gone, with every connection reset: the process that crashed.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again at the same address, empty.
    pub async fn restart(&mut self, dir: &Path) {
        self.kill();
        *self = Self::start_at(dir, self.port).await;
    }

    /// Sends one command of plain words and returns what comes back in one read; absent where nothing does.
    pub async fn send(&self, words: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.write_all(format!("{words}\r\n").as_bytes()).await.ok()?;
        let mut answer = vec![0; 64 * 1024];
        let length = stream.read(&mut answer).await.ok().filter(|length| *length > 0)?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }
}
