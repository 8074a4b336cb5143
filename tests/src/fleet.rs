//! Data planes as an operator runs them: the built binaries, a configuration file, real sockets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Program, binary, command};
use crate::{Client, Metrics, Redis, Upstream, eventually, free_port};

/// From start to ready takes tens of milliseconds; the rest is for a machine busy with other tests.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// The name of the route and of the upstream, unless a test writes its own configuration.
const ROUTE: &str = "tools";
const UPSTREAM: &str = "origin";

/// A fleet to be started: one data plane with sessions in memory, unless told otherwise.
pub fn fleet() -> FleetBuilder {
    FleetBuilder::new(Binary::DataPlane)
}

/// The same on one machine: `shadowcat reverse --config`.
pub fn reverse() -> FleetBuilder {
    FleetBuilder::new(Binary::Reverse)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binary {
    DataPlane,
    Reverse,
}

/// What to start.
#[derive(Debug)]
pub struct FleetBuilder {
    binary: Binary,
    planes: usize,
    redis: bool,
    upstream: Value,
    upstream_settings: Value,
    route_settings: Value,
    configuration: Option<Value>,
    environment: Vec<(String, String)>,
}

impl FleetBuilder {
    fn new(binary: Binary) -> Self {
        Self {
            binary,
            planes: 1,
            redis: false,
            upstream: Value::Null,
            upstream_settings: json!({}),
            route_settings: json!({}),
            configuration: None,
            environment: Vec::new(),
        }
    }

    /// How many data planes.
    pub fn data_planes(mut self, count: usize) -> Self {
        self.planes = count;
        self
    }

    /// Sessions in a Redis of the fleet's own.
    pub fn redis(mut self) -> Self {
        self.redis = true;
        self
    }

    /// In front of a scripted server.
    pub fn upstream(self, upstream: &Upstream) -> Self {
        self.http(&upstream.url())
    }

    /// In front of a server over HTTP.
    pub fn http(mut self, url: &str) -> Self {
        self.upstream = json!({ "http": { "endpoints": [{ "url": url }] } });
        self
    }

    /// In front of a server over stdio.
    pub fn stdio(mut self, command: &[impl AsRef<str>]) -> Self {
        let words: Vec<&str> = command.iter().map(AsRef::as_ref).collect();
        self.upstream = json!({ "stdio": { "command": words } });
        self
    }

    /// More settings of the upstream's transport, as the configuration writes them.
    pub fn upstream_settings(mut self, settings: Value) -> Self {
        self.upstream_settings = settings;
        self
    }

    /// More settings of the route, as the configuration writes them.
    pub fn route_settings(mut self, settings: Value) -> Self {
        self.route_settings = settings;
        self
    }

    /// Routes and upstreams as written here, instead of all of the above.
    pub fn configuration(mut self, configuration: Value) -> Self {
        self.configuration = Some(configuration);
        self
    }

    /// A variable in the data planes' environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts everything and waits until every data plane says it is ready.
    pub async fn start(self) -> Fleet {
        let dir = TempDir::new().expect("there is a temporary directory");
        let redis = if self.redis { Some(Redis::start(dir.path()).await) } else { None };
        let mut configuration = self.configuration.clone().unwrap_or_else(|| self.one_route());
        if let Some(redis) = &redis {
            configuration["node"]["redis"] = json!(redis.url());
        }
        let mut fleet = Fleet { planes: Vec::new(), redis, configuration, dir };
        fleet.write(&fleet.configuration.to_string());
        for number in 0..self.planes {
            let plane = DataPlane::start(&self, &format!("plane-{number}"), fleet.dir.path(), &fleet.file());
            fleet.planes.push(plane);
        }
        for plane in &mut fleet.planes {
            plane.ready().await;
        }
        fleet
    }

    fn one_route(&self) -> Value {
        let mut upstream = self.upstream.clone();
        let transport = upstream.as_object_mut().and_then(|upstream| upstream.values_mut().next());
        merge(transport.expect("a fleet stands in front of something"), &self.upstream_settings);
        upstream["name"] = json!(UPSTREAM);
        let mut route = json!({ "name": ROUTE, "match": { "path": "/mcp" }, "targets": [{ "upstream": UPSTREAM }] });
        merge(&mut route, &self.route_settings);
        json!({ "routes": [route], "upstreams": [upstream] })
    }
}

fn merge(into: &mut Value, settings: &Value) {
    let settings = settings.as_object().expect("settings are an object");
    for (name, value) in settings {
        into[name] = value.clone();
    }
}

/// Running data planes. What it started dies when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    planes: Vec<DataPlane>,
    redis: Option<Redis>,
    configuration: Value,
    dir: TempDir,
}

impl Fleet {
    /// One of the data planes.
    pub fn plane(&self, number: usize) -> &DataPlane {
        &self.planes[number]
    }

    /// One of the data planes, to end it.
    pub fn plane_mut(&mut self, number: usize) -> &mut DataPlane {
        &mut self.planes[number]
    }

    /// The MCP endpoint of a data plane.
    pub fn url(&self, number: usize) -> String {
        self.planes[number].url("/mcp")
    }

    /// A client with a new session at a data plane.
    pub async fn client(&self, number: usize) -> Client {
        Client::connect(self.url(number)).await
    }

    /// The fleet's Redis.
    pub fn redis(&self) -> &Redis {
        self.redis.as_ref().expect("a fleet built with .redis()")
    }

    /// The fleet's Redis, to end it.
    pub fn redis_mut(&mut self) -> &mut Redis {
        self.redis.as_mut().expect("a fleet built with .redis()")
    }

    /// The configuration it was started with.
    pub fn configuration(&self) -> &Value {
        &self.configuration
    }

    /// Replaces the configuration file, as an editor does: the new text under another name, then a rename.
    pub fn write(&self, text: &str) {
        let new = self.dir.path().join("fleet.yaml.new");
        std::fs::write(&new, text).expect("the temporary directory is writable");
        std::fs::rename(new, self.file()).expect("a file can be renamed in its directory");
    }

    /// A directory for what a test needs beside the fleet.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("fleet.yaml")
    }
}

/// One data plane.
#[derive(Debug)]
pub struct DataPlane {
    name: String,
    program: Program,
    port: u16,
    operations_port: u16,
}

impl DataPlane {
    fn start(builder: &FleetBuilder, name: &str, dir: &Path, configuration: &Path) -> Self {
        let port = free_port();
        // On one machine everything is on one port.
        let operations_port = if builder.binary == Binary::Reverse { port } else { free_port() };
        let mut command = match builder.binary {
            Binary::DataPlane => command(binary("shadowcat-data-plane")),
            Binary::Reverse => command(binary("shadowcat")),
        };
        match builder.binary {
            Binary::DataPlane => command.args(["--ops-bind", &format!("127.0.0.1:{operations_port}")]),
            Binary::Reverse => command.arg("reverse"),
        };
        command.arg("--config").arg(configuration).args(["--bind", &format!("127.0.0.1:{port}")]);
        command.envs(builder.environment.iter().map(|(name, value)| (name, value)));
        let program = Program::start(name, dir, &mut command);
        Self { name: name.to_owned(), program, port, operations_port }
    }

    async fn ready(&mut self) {
        let what = format!("{} is ready", self.name);
        eventually(&what, READY_WITHIN, async || {
            if let Some(status) = self.program.ended() {
                panic!("{} ended on start: {status}\n{}", self.name, self.program.log());
            }
            (self.health("/health").await?.0 == StatusCode::OK).then_some(())
        })
        .await;
    }

    /// A URL of its MCP port.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The address of every port it listens on.
    pub fn listeners(&self) -> Vec<u16> {
        let mut ports = vec![self.port, self.operations_port];
        ports.dedup();
        ports
    }

    /// Status and body of a health path on the operations port; `None` where nobody answers.
    pub async fn health(&self, path: &str) -> Option<(StatusCode, String)> {
        let client = Client::to(format!("http://127.0.0.1:{}{path}", self.operations_port));
        let reply = client.exchange(http::Method::GET, bytes::Bytes::new()).await.ok()?;
        Some((reply.status(), reply.text().await.ok()?))
    }

    /// A scrape of its metrics.
    pub async fn metrics(&self) -> Metrics {
        let (status, text) = self.health("/metrics").await.expect("a living data plane shows its metrics");
        assert_eq!(status, StatusCode::OK, "{text}");
        Metrics::parse(&text)
    }

    /// Waits until a metric, summed over its series, is what it should be.
    pub async fn metric_is(&self, name: &str, wanted: f64, limit: Duration) {
        eventually(&format!("{name} is {wanted}"), limit, async || {
            (self.metrics().await.sum(name, &[]).unwrap_or_default() == wanted).then_some(())
        })
        .await;
    }

    /// The program, to look at or to end.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Its process.
    pub fn process(&self) -> crate::Process {
        self.program.process()
    }
}
