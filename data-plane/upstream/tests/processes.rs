//! What is left of children when their gateway dies, and when their sessions are abandoned: nothing.
//!
//! These scenarios kill gateways and count processes, descriptors and tasks, so they run in a program of their own, one
//! after the other. That program is also the gateway that is killed (with the argument `hold`), and its reaper.

#![expect(clippy::print_stdout, reason = "there is no harness that would print for it")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use shadowcat_mcp::{Envelope, Limits};
use shadowcat_upstream::reaper::{self, Reaper};
use shadowcat_upstream::{Call, StdioSettings, StdioUpstream, Upstream, UpstreamMetrics, Verb};

const HOLD: &str = "hold";

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that ignores TERM, with one process below it in its group and one that left the group.
const FAMILY: &str = r#"
    sleep 1000 & below=$!
    setsid sleep 1000 & escaped=$!
    trap '' TERM
    answer="{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"server\":$$,\"below\":$below,\"escaped\":$escaped}}"
    while read -r line; do echo "$answer"; done
    while :; do sleep 0.1; done
"#;

/// A server that answers and ends with its input.
const PLAIN: &str = r#"while read -r line; do echo '{"jsonrpc":"2.0","id":0,"result":{}}'; done"#;

fn main() -> ExitCode {
    if reaper::run_if_asked() {
        return ExitCode::SUCCESS;
    }
    if std::env::args().nth(1).as_deref() == Some(HOLD) {
        runtime().block_on(hold());
        return ExitCode::SUCCESS;
    }
    let scenarios: [(&str, fn()); 4] = [
        ("kill_9_of_a_gateway_leaves_no_process_not_even_below_a_shell_or_outside_the_group", killed),
        ("a_signal_to_the_foreground_group_does_not_stop_the_reaper_from_its_work", interrupted),
        ("the_reaper_holds_no_descriptor_of_its_gateway_and_ends_with_it", bare),
        ("sessions_opened_and_abandoned_leave_no_process_descriptor_or_task", abandoned),
    ];
    for (name, scenario) in scenarios {
        scenario();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

fn killed() {
    let mut gateway = Gateway::start();
    gateway.process.kill().expect("killed");
    gateway.expect_no_family();
}

fn interrupted() {
    let gateway = Gateway::start();
    kill_process_group(gateway.id(), Signal::INT).expect("interrupted");
    gateway.expect_no_family();
}

fn bare() {
    let gateway = Gateway::start();
    let reaper = find_reaper(gateway.id());
    let of_the_gateway = &opened(&gateway.process.id().to_string()) - &opened("self");
    assert!(of_the_gateway.iter().any(|target| target.starts_with("socket:")), "{of_the_gateway:?}");
    // The pipe between them has a name at both ends.
    let shared = &of_the_gateway & &opened(&reaper.to_string());
    assert!(shared.len() == 1 && shared.iter().all(|target| target.starts_with("pipe:")), "{shared:?}");
    kill_process(gateway.id(), Signal::KILL).expect("killed");
    gateway.expect_no_family();
    until("the reaper is gone", || !lives(reaper));
}

fn abandoned() {
    const SESSIONS: usize = 300;
    let runtime = runtime();
    runtime.block_on(async {
        let mut settings = StdioSettings::new("plain", ["sh", "-c", PLAIN].map(str::to_owned).to_vec());
        settings.stop_when_idle_for = Duration::from_millis(100);
        let upstream = StdioUpstream::new(settings, Reaper::absent(), UpstreamMetrics::default());
        initialize(&upstream).await;
        idle(&upstream).await;
        let before = (descriptors(), tokio::runtime::Handle::current().metrics().num_alive_tasks());
        for _ in 0..SESSIONS {
            initialize(&upstream).await;
        }
        idle(&upstream).await;
        let after = (descriptors(), tokio::runtime::Handle::current().metrics().num_alive_tasks());
        assert_eq!(after, before, "descriptors and tasks");
        assert!(children_of(std::process::id()).is_empty());
    });
}

/// The gateway that is killed: one session with a child, and a port.
async fn hold() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let settings = StdioSettings::new("family", ["sh", "-c", FAMILY].map(str::to_owned).to_vec());
    let upstream = StdioUpstream::new(settings, Reaper::on_demand(), UpstreamMetrics::default());
    let answer = initialize(&upstream).await;
    println!("{}", String::from_utf8_lossy(&answer));
    std::future::pending::<()>().await;
    drop(port);
}

async fn initialize(upstream: &StdioUpstream) -> Bytes {
    let message = Bytes::from_static(br#"{"jsonrpc":"2.0","id":0,"method":"initialize"}"#);
    let message = Envelope::read(message, Limits::default()).expect("a message");
    let call = Call { verb: Verb::Post(message), headers: HeaderMap::new(), session: None, exchange: None };
    let answer = upstream.call(call).await.expect("an answer");
    answer.into_body().collect().await.expect("a body").to_bytes()
}

async fn idle(upstream: &StdioUpstream) {
    let since = Instant::now();
    while upstream.status().children > 0 {
        assert!(since.elapsed() < PATIENCE, "{:?}", upstream.status());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A gateway that can be killed, and the processes it started.
struct Gateway {
    process: Child,
    family: Vec<i32>,
}

impl Gateway {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .arg(HOLD)
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        let member = |name: &str| answer["result"][name].as_i64().and_then(|id| i32::try_from(id).ok());
        let family: Option<Vec<i32>> = ["server", "below", "escaped"].into_iter().map(member).collect();
        let family = family.expect("process ids");
        assert!(family.iter().all(|&process| lives(process)), "{family:?}");
        Self { process, family }
    }

    fn id(&self) -> Pid {
        i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process id")
    }

    /// Waits until nothing is left of the gateway and its processes.
    fn expect_no_family(mut self) {
        self.process.wait().expect("the end of the gateway");
        until("the whole family is gone", || !self.family.iter().any(|&process| lives(process)));
    }
}

impl Drop for Gateway {
    /// A scenario that fails leaves nothing either: the reaper sees to the rest.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// True while a process runs. One that nobody has waited for yet does not.
fn lives(process: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// What a process has open: files, pipes, sockets by their names.
fn opened(process: &str) -> BTreeSet<String> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).expect("descriptors").flatten();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.map(|target| target.to_string_lossy().into_owned()).collect()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("own descriptors").count()
}

fn find_reaper(gateway: Pid) -> i32 {
    let children = children_of(gateway.as_raw_nonzero().get().unsigned_abs());
    let name = |process: i32| fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
    children.into_iter().find(|&child| name(child).starts_with("shadowcat-reaper")).expect("a reaper")
}

fn children_of(parent: u32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let parent = parent.to_string();
    processes.filter(|process| parent_of(*process).is_some_and(|its| its == parent)).collect()
}

fn parent_of(process: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1).map(str::to_owned)
}

#[expect(clippy::disallowed_methods, reason = "this program looks at other processes, which wake nobody")]
fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let since = Instant::now();
    while !seen() {
        assert!(since.elapsed() < PATIENCE, "never seen: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
