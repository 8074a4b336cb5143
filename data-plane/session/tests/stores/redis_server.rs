//! A private Redis.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, InfoDict, RedisResult};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::eventually;

/// How long a Redis may take to start on a busy machine.
const START: Duration = Duration::from_secs(10);

/// A Redis that keeps nothing on disk and dies with its owner.
pub(crate) struct RedisServer {
    port: u16,
    directory: TempDir,
    process: Child,
}

impl RedisServer {
    /// On a free port, answering.
    pub(crate) async fn start() -> Self {
        // Nobody holds the port between its choice and the start; whoever loses that race tries another.
        loop {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            if let Some(server) = Self::start_on(port).await {
                return server;
            }
        }
    }

    async fn start_on(port: u16) -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let process = spawn(port, &directory);
        let mut server = Self { port, directory, process };
        server.answers().await.then_some(server)
    }

    /// False if the process ended instead.
    async fn answers(&mut self) -> bool {
        let (client, process) = (self.client(), self.process.id());
        let mut ended = false;
        eventually("redis-server answers", START, || {
            ended = self.process.try_wait().unwrap().is_some();
            let client = client.clone();
            // Another test's Redis answers too, if it was quicker to take the port.
            async move { ended || process_of(&client).await.is_ok_and(|answering| answering == process) }
        })
        .await;
        !ended
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn client(&self) -> Client {
        Client::open(self.url()).unwrap()
    }

    /// A connection beside the store's.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        self.client().get_multiplexed_async_connection().await.unwrap()
    }

    /// How many commands of these names it has run.
    pub(crate) async fn calls(&self, names: &[&str]) -> u64 {
        let mut connection = self.connection().await;
        let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
        let calls = |name: &&str| {
            let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")))?;
            line.split(',').next()?.parse::<u64>().ok()
        };
        names.iter().filter_map(calls).sum()
    }

    /// Ends at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Comes back on the same port, empty.
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.port, &self.directory);
        assert!(self.answers().await, "redis-server did not come back");
    }

    /// Takes connections and bytes, and answers nothing.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, directory: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port", &port.to_string()])
        .arg("--dir")
        .arg(directory.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server must be installed to run these tests")
}

async fn process_of(client: &Client) -> RedisResult<u32> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info: InfoDict = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    Ok(info.get("process_id").unwrap_or_default())
}
