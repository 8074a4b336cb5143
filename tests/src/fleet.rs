//! Data planes as an operator runs them: the built binaries, a configuration file, real sockets.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

use crate::plane::{Binary, DataPlane};
use crate::{Client, Redis, Upstream};

/// The name of the route and of the upstream, unless a test writes its own configuration.
const ROUTE: &str = "tools";
const UPSTREAM: &str = "origin";

/// The file of the certificate of a fleet built with `.tls()`.
const CERTIFICATE: &str = "gateway.pem";

/// A fleet to be started: one data plane with sessions in memory, unless told otherwise.
pub fn fleet() -> FleetBuilder {
    FleetBuilder::new(Binary::DataPlane)
}

/// The same on one machine: `shadowcat reverse --config`.
pub fn reverse() -> FleetBuilder {
    FleetBuilder::new(Binary::Reverse)
}

/// What to start.
#[derive(Debug)]
pub struct FleetBuilder {
    binary: Binary,
    planes: usize,
    redis: bool,
    tls: bool,
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
            tls: false,
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

    /// TLS for clients, with a certificate that nobody trusts.
    pub fn tls(mut self) -> Self {
        self.tls = true;
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
        if self.tls {
            configuration["node"]["tls"] = certificate(dir.path());
        }
        let mut fleet = Fleet { planes: Vec::new(), redis, configuration, dir };
        fleet.write(&fleet.configuration.to_string());
        for number in 0..self.planes {
            let name = format!("plane-{number}");
            let plane = DataPlane::start(self.binary, name, &self.environment, fleet.dir.path(), &fleet.file());
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

/// Writes a certificate and its key, and returns what the configuration says of them.
fn certificate(dir: &Path) -> Value {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("localhost is a name");
    let (certificate, key) = (dir.join(CERTIFICATE), dir.join("gateway.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("the temporary directory is writable");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("the temporary directory is writable");
    json!({ "certificate": certificate, "key": key })
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

    /// The MCP endpoint of a data plane built with `.tls()`, by the name in its certificate.
    pub fn secure_url(&self, number: usize) -> String {
        self.url(number).replacen("http://127.0.0.1", "https://localhost", 1)
    }

    /// The file with the certificate of a fleet built with `.tls()`.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join(CERTIFICATE)
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
