//! `shadowcat up`: a fleet on one machine, for a person who wants to see one work: a control plane, and a gateway in front of one MCP
//! server, in one process.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use shadowcat_config::{DEFAULT_PATH, Node, SessionMode};
use shadowcat_control_plane::default_data_dir;
use shadowcat_proto::config::v1 as raw;
use shadowcat_proxy::Gateway;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::banner::Banner;
use super::fleet_of_one::{self as fleet, Running, Wanted};
use super::{Ended, gateway};
use crate::args::UpArgs;
use crate::upstream_arg::Written;

/// What the one route and the one upstream are called.
const NAME: &str = "default";

/// Serves until told to stop; the banner on stdout is the sign that it does.
pub(super) async fn run(args: UpArgs) -> anyhow::Result<Ended> {
    let data_dir = args.data_dir.unwrap_or_else(default_data_dir);
    let demo = one_route(Written::Stdio(demo_server()?), args.bind);
    let (wanted, named) = match args.upstream {
        Some(upstream) => (Wanted::This(one_route(upstream.written, args.bind)), Some(upstream.text)),
        None => (Wanted::LastOr(demo.clone()), None),
    };
    let plane = fleet::control_plane(&data_dir).await?;
    let node = Node { bind: Some(args.bind), ..Node::default() };
    // Of two on one directory the later one ends here, before it has changed what the earlier one serves.
    let member = fleet::member(&plane, &data_dir).await?;
    let serving = gateway::open(Gateway::waiting().spool(member.spool()), &node).await?;
    let running = fleet::version(&**plane.store(), wanted).await?;
    let (url, control_url) = (gateway::url(&serving, &node)?, fleet::url(&plane));
    let context = fleet::leave_context(&plane).unwrap_or_else(|error| {
        tracing::warn!("no context is left for shadowcatctl: {error:#}");
        None
    });

    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let control_plane = tasks.spawn(plane.serve(stop.clone().cancelled_owned()));
    let control = serving.control();
    let following = member.start(control.clone()).await;
    let greeting = async {
        fleet::serves(&control, &running).await?;
        let behind = match (named, running.replaces) {
            (Some(named), Some(before)) => {
                format!(
                    "{named}, as version {}; `shadowcatctl rollback {before}` brings back what was before",
                    running.number
                )
            }
            (Some(named), None) => named,
            (None, _) => behind(&running, &demo),
        };
        greet(&Banner { url: &url, behind: &behind, control_plane: &control_url, context });
        Ok(std::future::pending().await)
    };
    let ended = tokio::select! {
        ended = gateway::serve(serving) => Ok(ended),
        failed = greeting => failed,
        () = following.run() => unreachable!("the control plane is followed for ever"),
    };
    stop.cancel();
    control_plane.await.context("the control plane ended by a panic")??;
    ended
}

/// One route at [`DEFAULT_PATH`] to one upstream. On loopback a call needs no session, so that a bare `curl` works.
fn one_route(upstream: Written, bind: SocketAddr) -> raw::Config {
    let mode = match gateway::session_mode(bind) {
        SessionMode::Optional => raw::route::sessions::Mode::Optional,
        SessionMode::Required => raw::route::sessions::Mode::Required,
    };
    let route = raw::Route {
        name: NAME.to_owned(),
        r#match: Some(raw::route::Match { path: DEFAULT_PATH.to_owned(), ..Default::default() }),
        targets: vec![raw::route::Target { upstream: NAME.to_owned(), ..Default::default() }],
        sessions: Some(raw::route::Sessions { mode: Some(mode.into()), ..Default::default() }),
        recording: Some(NAME.to_owned()),
        ..Default::default()
    };
    raw::Config {
        routes: vec![route],
        upstreams: vec![upstream.upstream(NAME)],
        recordings: vec![raw::Recording { name: NAME.to_owned(), ..Default::default() }],
        ..Default::default()
    }
}

/// What stands behind the gateway when nothing was said.
fn behind(running: &Running, demo: &raw::Config) -> String {
    if running.raw == *demo {
        "the built-in demo server".to_owned()
    } else {
        format!("what version {} of its configuration says", running.number)
    }
}

/// This same program as a child: the demo server then takes the way of any other command, and needs no code of its own in the gateway.
fn demo_server() -> anyhow::Result<Vec<String>> {
    let program =
        std::env::current_exe().context("cannot find this program's own file, to start the demo server from")?;
    let program = program.into_os_string().into_string().map_err(|path| {
        anyhow::anyhow!("the path of this program is no UTF-8: {}; move it, or give --upstream", path.display())
    })?;
    Ok(vec![program, "demo-server".to_owned()])
}

/// Prints the banner. Whoever closed stdout does not want it, and is served all the same.
fn greet(banner: &Banner<'_>) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = write!(stdout, "{banner}").and_then(|()| stdout.flush()) {
        tracing::debug!(%error, "the banner was not read");
    }
}
