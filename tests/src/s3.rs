//! A private object store that speaks S3 and checks signatures.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::program::command;
use crate::{Lab, Program, eventually, free_port};

/// An interpreter starts, on a machine busy with other tests.
const START: Duration = Duration::from_secs(30);

/// The one bucket, and what is before every key in it.
const BUCKET: &str = "tapes";
const PREFIX: &str = "of/a/fleet";

/// What both keys of its one account are.
const KEY: &str = "S3RVER";

/// How it names the files that hold what was put.
const CONTENT: &str = "._S3rver_object";

/// An object store on a free port of loopback, whose files die with it.
#[derive(Debug)]
pub struct S3 {
    port: u16,
    directory: PathBuf,
    program: Program,
}

impl S3 {
    /// Starts one with an empty bucket.
    pub async fn start(dir: &Path) -> Self {
        let directory = dir.join("s3");
        std::fs::create_dir(&directory).expect("the temporary directory is writable");
        let port = free_port();
        let s3 = Self { port, program: launch(&directory, port), directory };
        s3.answers().await;
        s3
    }

    /// Where a control plane keeps what it keeps here, and the environment with which it finds it.
    pub(crate) fn place(&self) -> (String, Vec<(&'static str, String)>) {
        let environment = vec![
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
        ];
        (format!("s3://{BUCKET}/{PREFIX}"), environment)
    }

    /// The keys of all objects below a part of the place, in order.
    pub fn keys(&self, below: &str) -> Vec<String> {
        let top = self.directory.join(BUCKET).join(PREFIX).join(below);
        let mut keys = Vec::new();
        collect(&top, &mut keys);
        keys.sort();
        keys
    }

    /// Gone, with every connection cut.
    pub fn stop(&mut self) {
        self.program.kill();
    }

    /// Starts it again, with what it had.
    pub async fn start_again(&mut self) {
        self.program = launch(&self.directory, self.port);
        self.answers().await;
    }

    async fn answers(&self) {
        let connect = async || TcpStream::connect(("127.0.0.1", self.port)).await.ok();
        eventually("the object store takes connections", START, connect).await;
    }
}

fn launch(directory: &Path, port: u16) -> Program {
    let lab = Lab::open();
    let mut s3 = command(lab.node());
    s3.arg(lab.package("s3rver/bin/s3rver.js")).arg("--directory").arg(directory);
    s3.args([
        "--address",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--no-vhost-buckets",
        "--configure-bucket",
        BUCKET,
    ]);
    Program::start("s3", directory.parent().expect("it has a directory of its own"), &mut s3)
}

fn collect(directory: &Path, keys: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            collect(&entry.path(), keys);
        } else if let Some(key) = entry.file_name().to_str().and_then(|name| name.strip_suffix(CONTENT)) {
            keys.push(key.to_owned());
        }
    }
}
