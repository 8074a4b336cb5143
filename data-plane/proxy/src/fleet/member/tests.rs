//! A member of a fleet against a control plane whose lines the test holds.

use std::fs;
use std::time::SystemTime;

use futures_util::FutureExt as _;
use hyper::rt::Executor as _;
use hyper_util::rt::TokioExecutor;
use shadowcat_proto::fleet::v1::config_status::State;
use shadowcat_proto::fleet::v1::control_message::Kind;
use shadowcat_proto::fleet::v1::node_message::Kind as Said;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tonic::Status;

use super::*;
use crate::fleet::provenance::to_wire;
use crate::fleet::testing::{Authority, Plane, SOON, chunks, version, version_with_secret};
use crate::{Gateway, Stop};

/// A gateway that serves, as a member of a fleet or without one.
struct Node {
    clients: String,
    operators: String,
    stop: Option<oneshot::Sender<Stop>>,
    ended: oneshot::Receiver<bool>,
}

async fn gateway() -> Gateway {
    let any = "127.0.0.1:0".parse().unwrap();
    Gateway::waiting().bind(any).operations(any).build().await.unwrap()
}

fn serve(gateway: Gateway, following: impl Future<Output = ()> + Send + 'static) -> Node {
    let clients = format!("http://{}", gateway.local_addr().unwrap());
    let operators = format!("http://{}", gateway.operations_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    TokioExecutor::new().execute(async move {
        let stopped = stopped.then(async |how| match how {
            Ok(how) => how,
            Err(_) => std::future::pending().await,
        });
        tokio::select! {
            whole = gateway.serve(stopped) => drop(end.send(whole)),
            () = following => {}
        }
    });
    Node { clients, operators, stop: Some(stop), ended }
}

async fn start(settings: MemberSettings) -> Node {
    let member = Member::open(settings).unwrap();
    let gateway = gateway().await;
    let following = member.start(gateway.control()).await;
    serve(gateway, following.run())
}

fn settings(plane: &Plane, data_dir: &TempDir) -> MemberSettings {
    MemberSettings {
        control_plane: plane.url().parse().unwrap(),
        join_token: Some(plane.authority.token().parse().unwrap()),
        seed: None,
        data_dir: data_dir.path().to_owned(),
        labels: BTreeMap::from([("region".to_owned(), "eu".to_owned())]),
        node: Some("edge-1".to_owned()),
    }
}

impl Node {
    async fn get(&self, base: &str, path: &str) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(format!("{base}{path}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn ready(&self) -> u16 {
        self.get(&self.clients, "/health/ready").await.0
    }

    /// What a call to `path` gets: 503 before there is a configuration, 404 without a route, 502 with one, since nothing is behind it.
    async fn call(&self, path: &str) -> reqwest::Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client
            .post(format!("{}{path}", self.clients))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .body(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#);
        request.send().await.unwrap()
    }

    async fn status_of(&self, path: &str) -> u16 {
        self.call(path).await.status().as_u16()
    }

    async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get(&self.operators, "/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    async fn eventually(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let looking = async {
            while !holds(self).await {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, looking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(Stop::PROMPT).unwrap();
        timeout(SOON, self.ended).await.expect("it stops").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_without_a_configuration_says_so_to_everybody() {
    let node = serve(gateway().await, std::future::pending());
    for path in ["/mcp", "/anything"] {
        let refused = node.call(path).await;
        assert_eq!(refused.status().as_u16(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        let text = refused.text().await.unwrap();
        assert!(text.contains(r#""code":-31010"#) && text.contains("no configuration yet"), "{text}");
    }
    let (status, why) = node.get(&node.clients, "/health/ready").await;
    assert_eq!((status, why.contains("no configuration yet")), (503, true), "{why}");
    assert_eq!(node.get(&node.clients, "/health/live").await.0, 200);
    assert_eq!(node.get(&node.operators, "/health").await.0, 503);
    let (status, config) = node.get(&node.operators, "/config").await;
    assert_eq!((status, &*config), (200, r#"{"config":null,"origin":"none","version":null}"#));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_joins_and_runs_what_its_control_plane_brings() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    let node = start(settings(&plane, &dir)).await;
    let mut line = plane.line().await;
    assert_eq!((line.shown.len(), &line.hello.have, line.hello.labels["region"].as_str()), (1, &None, "eu"));
    assert_eq!(node.ready().await, 503);

    line.welcome().await;
    let (first, second) = (version(1, "/first"), version(2, "/second"));
    line.bring(&first).await;
    assert_eq!((node.ready().await, node.status_of("/first").await), (200, 502));
    line.bring(&second).await;
    assert_eq!((node.status_of("/first").await, node.status_of("/second").await), (404, 502));

    assert_eq!(node.metric("shadowcat_config_version").await, 2.0);
    assert_eq!(node.metric("shadowcat_control_plane_connected").await, 1.0);
    assert_eq!(node.metric("shadowcat_config_age_seconds").await, 0.0);
    let one_alive = async |node: &Node| node.metric("shadowcat_config_versions_live").await == 1.0;
    node.eventually("the replaced version is freed", one_alive).await;
    let (_, config) = node.get(&node.operators, "/config").await;
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!((&config["version"]["number"], &config["origin"]), (&2.into(), &"stream".into()));
    assert_eq!(config["config"]["routes"][0]["match"]["path"], "/second");

    let health = |said| match said {
        Said::NodeHealth(health) if health.requests >= 2 => Some(health),
        _ => None,
    };
    let health = line.hear(health).await;
    assert!(health.memory_bytes > 1_000_000 && health.versions_live >= 1, "{health:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_from_its_disk_while_nobody_answers() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    let node = start(settings(&plane, &dir)).await;
    let mut line = plane.line().await;
    line.welcome().await;
    let first = version(1, "/first");
    line.bring(&first).await;
    let kept = dir.path().join("config").join(format!("{}.snapshot", first.0));
    node.eventually("the version is kept", async |_: &Node| kept.exists()).await;
    node.stop().await;

    let (address, authority) = (plane.address.to_string(), plane.authority.clone());
    let mut gone = settings(&plane, &dir);
    gone.control_plane = "https://127.0.0.1:1".parse().unwrap();
    gone.join_token = None;
    let node = start(gone).await;
    assert_eq!((node.ready().await, node.status_of("/first").await), (200, 502));
    node.eventually("it knows", async |node: &Node| node.metric("shadowcat_config_age_seconds").await > 0.0).await;
    assert_eq!(node.metric("shadowcat_control_plane_connected").await, 0.0);
    node.stop().await;

    let node = start(settings(&plane, &dir)).await;
    let line = plane.line().await;
    assert_eq!(line.hello.have, Some(to_wire(&first.0)), "{address} {}", authority.fingerprint());
    assert_eq!(line.hello.origin(), wire::hello::Origin::Disk);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_machine_starts_from_its_seed_and_the_disk_comes_first() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    let (old, new) = (version(1, "/seed"), version(2, "/stream"));
    let seed = dir.path().join("fleet.seed");
    fs::write(&seed, shadowcat_config::encode(&old.0, &old.1)).unwrap();
    let seeded = MemberSettings { seed: Some(seed.clone()), ..settings(&plane, &dir) };
    let node = start(seeded.clone()).await;
    assert_eq!((node.ready().await, node.status_of("/seed").await), (200, 502));
    let mut line = plane.line().await;
    assert_eq!((line.hello.origin(), &line.hello.have), (wire::hello::Origin::Seed, &Some(to_wire(&old.0))));
    line.welcome().await;
    line.bring(&new).await;
    let kept = dir.path().join("config").join(format!("{}.snapshot", new.0));
    node.eventually("the version is kept", async |_: &Node| kept.exists()).await;
    node.stop().await;

    let node = start(seeded.clone()).await;
    assert_eq!(node.status_of("/stream").await, 502);
    node.stop().await;

    fs::write(&seed, b"torn").unwrap();
    let empty = tempfile::tempdir().unwrap();
    let node = start(MemberSettings { data_dir: empty.path().to_owned(), ..seeded }).await;
    assert_eq!(node.ready().await, 503, "a broken seed does not keep a node from starting");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_refused_with_every_reason_and_what_ran_runs_on() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    let node = start(settings(&plane, &dir)).await;
    let mut line = plane.line().await;
    line.welcome().await;
    line.bring(&version(1, "/first")).await;

    let (mut forged, canonical) = version(2, "/second");
    forged.digest = shadowcat_config::digest(b"something else");
    line.send(&(forged.clone(), canonical)).await;
    let status = line.status().await;
    assert_eq!(status.state(), State::Rejected);
    assert!(status.errors[0].message.contains("was announced with"), "{:?}", status.errors);
    assert_eq!(node.metric("shadowcat_config_digest_mismatch_total").await, 1.0);

    // A version that an older validator let pass: no upstream has this name.
    let garbage = shadowcat_proto::config::v1::Config {
        routes: vec![shadowcat_proto::config::v1::Route { name: "a".to_owned(), ..Default::default() }],
        ..Default::default()
    };
    let canonical = Bytes::from(shadowcat_config::canonical(&garbage));
    let digest = shadowcat_config::digest(&canonical);
    let invalid = ConfigRef { epoch: "e".repeat(32), number: 3, digest };
    line.send(&(invalid.clone(), canonical)).await;
    let status = line.status().await;
    assert_eq!(status.state(), State::Rejected);
    assert!(status.errors.iter().any(|error| error.path.starts_with("routes[0]")), "{:?}", status.errors);
    assert_eq!((node.ready().await, node.status_of("/first").await), (200, 502));

    // Another line: what was refused is told, and refused again without a look.
    line.refuse(Status::unavailable("restarting")).await;
    let mut line = plane.line().await;
    assert_eq!(line.hello.rejected, [to_wire(&forged), to_wire(&invalid)]);
    line.welcome().await;
    line.bring(&version(4, "/fourth")).await;
    assert_eq!(node.status_of("/fourth").await, 502);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_breaks_the_protocol_loses_the_line_and_nothing_else() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    let node = start(settings(&plane, &dir)).await;
    let mut line = plane.line().await;
    line.welcome().await;
    let first = version(1, "/first");
    line.bring(&first).await;
    let (second, canonical) = version(2, "/second");
    line.say(Kind::Snapshot(chunks(&second, &canonical).remove(1))).await;
    let line = plane.line().await;
    assert_eq!(line.hello.have, Some(to_wire(&first.0)));
    // Half a snapshot, and the line is gone.
    line.welcome().await;
    line.say(Kind::Snapshot(chunks(&second, &canonical).remove(0))).await;
    drop(line);
    let mut line = plane.line().await;
    line.welcome().await;
    line.bring(&(second, canonical)).await;
    assert_eq!(node.status_of("/second").await, 502);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_answered() {
    use wire::command::Kind as Ask;
    use wire::command_reply::Kind as Reply;
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    let node = start(settings(&plane, &dir)).await;
    let mut line = plane.line().await;
    line.welcome().await;
    line.bring(&version(1, "/first")).await;
    let told = line.hear(|said| match said {
        Said::UpstreamHealth(health) => Some(health),
        _ => None,
    });
    assert_eq!(told.await.upstream, "a");
    let reply = line.command(Ask::ExplainUpstreams(wire::ExplainUpstreams { upstream: String::new() })).await;
    let Reply::Upstreams(states) = reply else { panic!("{reply:?}") };
    assert_eq!(states.upstreams.iter().map(|state| &*state.upstream).collect::<Vec<_>>(), ["a"]);
    let reply = line.command(Ask::ListSessions(wire::ListSessions::default())).await;
    assert_eq!(reply, Reply::Sessions(wire::SessionPage::default()));
    let reply = line.command(Ask::EndSessions(wire::EndSessions { ids: vec!["forged".to_owned()] })).await;
    assert_eq!(reply, Reply::Ended(wire::EndedSessions { count: 0 }));
    let reply = line.command(Ask::Drain(wire::Drain {})).await;
    assert!(matches!(reply, Reply::Draining(wire::Draining { grace_ms: 20_000 })), "{reply:?}");
    assert_eq!(node.ready().await, 503);
    assert!(timeout(SOON, node.ended).await.expect("it drains").unwrap(), "a call was cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_sent_elsewhere_opens_another_line() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    let node = start(settings(&plane, &dir)).await;
    let first = plane.line().await;
    first.welcome().await;
    first.say(Kind::Reconnect(wire::Reconnect { after_ms: 1 })).await;
    let second = plane.line().await;
    assert_eq!(second.hello.instance, first.hello.instance);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_refuses_for_want_of_a_secret_it_takes_when_the_same_is_applied_again() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    let secret = dir.path().join("secret");
    let refused = version_with_secret(1, &secret);
    let node = start(settings(&plane, &dir)).await;
    let mut line = plane.line().await;
    line.welcome().await;
    line.send(&refused).await;
    let status = line.status().await;
    assert_eq!(status.state(), State::Rejected);
    let hint =
        "make it available on this node, then apply the same configuration again: a restart alone does not bring it";
    assert_eq!(status.errors[0].hint, hint);

    fs::write(&secret, "hunter2").unwrap();
    line.send(&refused).await;
    assert_eq!(line.status().await.state(), State::Rejected, "the version stays refused");
    // The control plane gives content that some node refuses another number when it is applied again.
    let applied_again = version_with_secret(2, &secret);
    assert_eq!(applied_again.0.digest, refused.0.digest);
    line.bring(&applied_again).await;
    assert_eq!((node.ready().await, node.status_of("/mcp").await), (200, 502));
    node.stop().await;
}

/// A data directory whose node has `good` proven and has died twice under `bad`, the newest.
fn died_twice(dir: &TempDir, good: &(ConfigRef, Bytes), bad: &(ConfigRef, Bytes)) {
    let mut disk = Disk::open(dir.path()).unwrap();
    disk.save(&good.0, &good.1).unwrap();
    disk.proven(&good.0).unwrap();
    disk.trial(&bad.0).unwrap();
    disk.save(&bad.0, &bad.1).unwrap();
    drop(disk);
    // The start after the first death; the second death is found by the start that follows.
    let mut disk = Disk::open(dir.path()).unwrap();
    assert_eq!(disk.next().as_ref(), Some(bad));
    disk.trial(&bad.0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_killed_the_process_twice_is_reported_until_it_is_heard_and_never_run_again() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    let (good, bad) = (version(1, "/good"), version(2, "/deadly"));
    died_twice(&dir, &good, &bad);
    let node = start(settings(&plane, &dir)).await;
    assert_eq!((node.ready().await, node.status_of("/good").await), (200, 502));
    // What was said on a line that breaks may be lost.
    for _ in 0..2 {
        let mut line = plane.line().await;
        assert_eq!((&line.hello.have, &line.hello.rejected), (&Some(to_wire(&good.0)), &vec![to_wire(&bad.0)]));
        line.welcome().await;
        let status = line.status().await;
        assert_eq!((status.state(), status.r#ref), (State::Reverted, Some(to_wire(&bad.0))));
        assert!(status.errors[0].message.contains("the process died twice"), "{:?}", status.errors);
        line.refuse(Status::unavailable("restarting")).await;
    }

    let mut line = plane.line().await;
    line.welcome().await;
    assert_eq!(line.status().await.state(), State::Reverted);
    line.send(&bad).await;
    let status = line.status().await;
    assert_eq!((status.state(), status.r#ref), (State::Rejected, Some(to_wire(&bad.0))));
    assert_eq!((node.status_of("/good").await, node.status_of("/deadly").await), (502, 404));

    // What runs instead settles it.
    line.bring(&version(3, "/third")).await;
    line.refuse(Status::unavailable("restarting")).await;
    let mut line = plane.line().await;
    assert_eq!(line.hello.rejected, [to_wire(&bad.0)]);
    line.welcome().await;
    line.bring(&version(4, "/fourth")).await;
    node.stop().await;
}

mod identities;
mod shipping;
