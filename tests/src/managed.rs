//! A fleet under a control plane: nothing is read from files, configuration comes from `shadowcatctl apply`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control_plane::Places;
use crate::plane::DataPlane;
use crate::{Client, ControlPlane, Postgres, Redis, S3, Upstream, eventually};

/// A version has reached every node within this, on a machine busy with other tests.
const REACHED_WITHIN: Duration = Duration::from_secs(20);

/// A fleet to be started: a control plane on SQLite, and one data plane with sessions in memory.
pub fn managed() -> ManagedBuilder {
    ManagedBuilder { control_planes: 1, data_planes: 1, postgres: false, redis: false, s3: false, upstream: None }
}

/// What to start.
#[derive(Debug)]
pub struct ManagedBuilder {
    control_planes: usize,
    data_planes: usize,
    postgres: bool,
    redis: bool,
    s3: bool,
    upstream: Option<String>,
}

impl ManagedBuilder {
    /// How many control planes, all on one Postgres.
    pub fn control_planes(mut self, count: usize) -> Self {
        self.control_planes = count;
        self
    }

    /// How many data planes.
    pub fn data_planes(mut self, count: usize) -> Self {
        self.data_planes = count;
        self
    }

    /// On a Postgres of the fleet's own.
    pub fn postgres(mut self) -> Self {
        self.postgres = true;
        self
    }

    /// Sessions in a Redis of the fleet's own.
    pub fn redis(mut self) -> Self {
        self.redis = true;
        self
    }

    /// Recorded traffic in an object store of the fleet's own.
    pub fn s3(mut self) -> Self {
        self.s3 = true;
        self
    }

    /// With a first version in front of a scripted server. Without one, nodes start with nothing to serve.
    pub fn upstream(mut self, upstream: &Upstream) -> Self {
        self.upstream = Some(upstream.url());
        self
    }

    /// Starts everything; with a first version, waits until every node serves it.
    pub async fn start(self) -> Managed {
        let dir = TempDir::new().expect("there is a temporary directory");
        let redis = if self.redis { Some(Redis::start(dir.path()).await) } else { None };
        let postgres = if self.postgres { Some(Postgres::start(dir.path()).await) } else { None };
        let s3 = if self.s3 { Some(S3::start(dir.path()).await) } else { None };
        let mut control = Vec::new();
        for number in 0..self.control_planes {
            let database = postgres.as_ref().map(Postgres::url);
            let places = Places { database, blobs: s3.as_ref().map(S3::place) };
            control.push(ControlPlane::start(dir.path(), &format!("control-{number}"), places).await);
        }
        let mut fleet = Managed { control, planes: Vec::new(), redis, postgres, s3, dir };
        if let Some(url) = &self.upstream {
            fleet.apply(&one_route(url)).await;
        }
        for _ in 0..self.data_planes {
            fleet.add_data_plane(&[]).await;
        }
        if self.upstream.is_some() {
            for plane in &mut fleet.planes {
                plane.ready().await;
            }
        }
        fleet
    }
}

/// A configuration of one route at `/mcp` to the server at `url`.
pub fn one_route(url: &str) -> Value {
    json!({
        "routes": [{ "name": "tools", "match": { "path": "/mcp" }, "targets": [{ "upstream": "origin" }] }],
        "upstreams": [{ "name": "origin", "http": { "endpoints": [{ "url": url }] } }],
    })
}

/// A running fleet. What it started dies when it is dropped.
#[derive(Debug)]
pub struct Managed {
    control: Vec<ControlPlane>,
    planes: Vec<DataPlane>,
    redis: Option<Redis>,
    postgres: Option<Postgres>,
    s3: Option<S3>,
    dir: TempDir,
}

impl Managed {
    /// The first control plane.
    pub fn control(&self) -> &ControlPlane {
        &self.control[0]
    }

    /// One of the control planes, to end it.
    pub fn control_mut(&mut self, number: usize) -> &mut ControlPlane {
        &mut self.control[number]
    }

    /// One of the data planes.
    pub fn plane(&self, number: usize) -> &DataPlane {
        &self.planes[number]
    }

    /// One of the data planes, to end it.
    pub fn plane_mut(&mut self, number: usize) -> &mut DataPlane {
        &mut self.planes[number]
    }

    /// The fleet's Redis.
    pub fn redis_mut(&mut self) -> &mut Redis {
        self.redis.as_mut().expect("a fleet built with .redis()")
    }

    /// The fleet's Postgres, to end it.
    pub fn postgres_mut(&mut self) -> &mut Postgres {
        self.postgres.as_mut().expect("a fleet built with .postgres()")
    }

    /// The fleet's object store.
    pub fn s3_mut(&mut self) -> &mut S3 {
        self.s3.as_mut().expect("a fleet built with .s3()")
    }

    /// The MCP endpoint of a data plane.
    pub fn url(&self, number: usize) -> String {
        self.planes[number].url("/mcp")
    }

    /// A client with a new session at a data plane.
    pub async fn client(&self, number: usize) -> Client {
        Client::connect(self.url(number)).await
    }

    /// A directory for what a test needs beside the fleet.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A token with which nodes join.
    pub async fn join_token(&self) -> String {
        let made = self.control().ctl(&["nodes", "token", "--uses", "100", "-o", "json"]).await.json();
        made["token"].as_str().expect("a token").to_owned()
    }

    /// Starts one more data plane, with more arguments, and says which it is; it may not be ready yet.
    pub async fn add_data_plane(&mut self, arguments: &[&str]) -> usize {
        let token = self.join_token().await;
        self.add_data_plane_with(&token, arguments)
    }

    /// The same with a join token that was made before.
    pub fn add_data_plane_with(&mut self, token: &str, arguments: &[&str]) -> usize {
        let number = self.planes.len();
        let mut all = ["--control-plane", &self.control().url(), "--join-token", token].map(str::to_owned).to_vec();
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        if let Some(redis) = &self.redis {
            all.extend(["--redis".to_owned(), redis.url()]);
        }
        self.planes.push(DataPlane::join(format!("plane-{number}"), self.dir.path(), all));
        number
    }

    /// Starts a second process with the identity and the files of a data plane, and says which it is.
    pub fn clone_data_plane(&mut self, number: usize) -> usize {
        self.planes.push(self.planes[number].cloned());
        self.planes.len() - 1
    }

    /// Applies a configuration; the number of the version it became.
    pub async fn apply(&self, configuration: &Value) -> u64 {
        let file = self.file(configuration);
        let applied = self.control().ctl(&["apply", "-f", &file, "-o", "json"]).await.json();
        number(&applied["version"]["ref"]["number"])
    }

    /// A file with a configuration in it.
    pub fn file(&self, configuration: &Value) -> String {
        let name = format!("fleet-{}.yaml", fastrand::u64(..));
        let path = self.dir.path().join(name);
        std::fs::write(&path, configuration.to_string()).expect("the temporary directory is writable");
        path.to_str().expect("a temporary directory's name is text").to_owned()
    }

    /// Waits until every data plane runs a version.
    pub async fn runs(&self, version: u64) {
        for (at, plane) in self.planes.iter().enumerate() {
            let what = format!("plane {at} runs version {version}");
            eventually(&what, REACHED_WITHIN, async || {
                let running = plane.metrics().await.sum("shadowcat_config_version", &[])?;
                (running == version as f64).then_some(())
            })
            .await;
        }
    }
}

/// A `uint64` of a message as JSON has it: text (proto3 JSON mapping).
pub fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number: {value}"))
}
