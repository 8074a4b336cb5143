//! The fleet that `up` runs: a control plane in this process, on SQLite, with this machine as its only node.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use prost::Message;
use shadowcat_config::{Config, canonical, digest};
use shadowcat_control_plane::store::{Actor, NewJoinToken, NewVersion, Store};
use shadowcat_control_plane::token::{FirstToken, JoinToken};
use shadowcat_control_plane::{ControlPlane, Settings, StartError};
use shadowcat_proto::config::v1 as raw;
use shadowcat_proxy::Control;
use shadowcat_proxy::fleet::{Member, MemberSettings};
use shadowcatctl_cli::connect::Fingerprint;
use shadowcatctl_cli::context::{self, Contexts};

/// The fleet, its author in histories, and what its node and its context are called.
const FLEET: &str = "default";
const AUTHOR: &str = "shadowcat up";
const LOCAL: &str = "local";

/// The node's part of the data directory.
const NODE_DIR: &str = "node";

/// The node joins at once or not at all.
const JOIN_WITHIN: Duration = Duration::from_secs(60);

/// From the start of both planes until the node runs the version: tens of milliseconds, on a machine with nothing else to do.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Which configuration the fleet is to run.
#[derive(Debug)]
pub(super) enum Wanted {
    /// This one, whatever it ran before.
    This(raw::Config),
    /// What it ran last; this one at the first start.
    LastOr(raw::Config),
}

/// The version that the fleet runs.
#[derive(Debug)]
pub(super) struct Running {
    /// From 1.
    pub(super) number: u64,
    /// What the fleet ran before, if this start has changed it.
    pub(super) replaces: Option<u64>,
    /// What it says.
    pub(super) raw: raw::Config,
    config: Config,
}

/// Opens the control plane at its usual ports, or at free ones where those are taken.
pub(super) async fn control_plane(data_dir: &Path) -> anyhow::Result<ControlPlane> {
    let settings = Settings::new(data_dir);
    match ControlPlane::build(settings.clone()).await {
        Err(StartError::Bind(_, error)) if error.kind() == ErrorKind::AddrInUse => {
            let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            Ok(ControlPlane::build(Settings { bind: free, console_bind: free, ..settings }).await?)
        }
        built => Ok(built?),
    }
}

/// Sees to it that the fleet runs what is wanted.
pub(super) async fn version(store: &dyn Store, wanted: Wanted) -> anyhow::Result<Running> {
    let current = store.current(FLEET).await?;
    let (raw, current) = match (wanted, current) {
        (Wanted::LastOr(_), Some(current)) => {
            let content = store.content(FLEET, current.number).await?.context("the newest version has no content")?;
            let raw = raw::Config::decode(content).context("the newest version cannot be read")?;
            (raw, Some(current))
        }
        (Wanted::This(raw) | Wanted::LastOr(raw), current) => (raw, current),
    };
    let config = Config::try_from(&raw)?;
    let content = canonical(&raw);
    let digest = digest(&content);
    let (number, replaces) = match current {
        Some(current) if current.digest == digest => (current.number, None),
        _ => {
            let made = store.commit(first_version(&raw, content, digest), actor("configurations.apply")).await?;
            (made.number, Some(made.parent).filter(|parent| *parent > 0))
        }
    };
    Ok(Running { number, replaces, raw, config })
}

fn first_version(raw: &raw::Config, content: Vec<u8>, digest: shadowcat_config::Digest) -> NewVersion {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    NewVersion {
        fleet: FLEET.to_owned(),
        content: content.into(),
        digest,
        message: "started".to_owned(),
        if_version: None,
        routes: count(raw.routes.len()),
        upstreams: count(raw.upstreams.len()),
    }
}

fn actor(verb: &str) -> Actor {
    Actor {
        fleet: FLEET.to_owned(),
        name: AUTHOR.to_owned(),
        address: String::new(),
        verb: verb.to_owned(),
        resource: format!("node {LOCAL}"),
    }
}

/// This process as the fleet's node.
pub(super) async fn member(plane: &ControlPlane, data_dir: &Path) -> anyhow::Result<Member> {
    let token = JoinToken::generate(plane.authority().fingerprint())?;
    let kept = NewJoinToken {
        hash: token.hash(),
        fleet: FLEET.to_owned(),
        uses: 1,
        expires_at: SystemTime::now() + JOIN_WITHIN,
    };
    plane.store().create_join_token(kept, actor("nodes.create_join_token")).await?;
    let settings = MemberSettings {
        control_plane: url(plane).parse()?,
        join_token: Some(token.reveal().parse()?),
        seed: None,
        data_dir: data_dir.join(NODE_DIR),
        labels: std::collections::BTreeMap::new(),
        node: Some(LOCAL.to_owned()),
    };
    Ok(Member::open(settings)?)
}

/// Where operators and the node find the control plane. By TLS even here: a token goes to the holder of the authority's key, not to
/// whoever has the port.
pub(super) fn url(plane: &ControlPlane) -> String {
    format!("https://{}", plane.grpc_addr())
}

/// Waits until the node runs the version.
pub(super) async fn serves(control: &Control, running: &Running) -> anyhow::Result<()> {
    let served = async {
        while !control.runs(&running.config) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let late = || format!("the gateway did not take up its configuration within {SERVED_WITHIN:?}: its log says why");
    tokio::time::timeout(SERVED_WITHIN, served).await.with_context(late)
}

/// Leaves a context for `shadowcatctl`, and makes it the current one unless a person has chosen another. The name to call it by where
/// it is not.
pub(super) fn leave_context(plane: &ControlPlane) -> anyhow::Result<Option<&'static str>> {
    let (FirstToken::Made(token) | FirstToken::Kept(token)) = plane.first_token() else { return Ok(None) };
    let token = std::fs::read_to_string(token)?.trim().to_owned();
    let path = context::path()?;
    let mut contexts = Contexts::load(&path)?;
    if let Some(other) = contexts.get(LOCAL).filter(|known| !is_here(&known.server)) {
        bail!("the context {LOCAL:?} is somebody else's: {}; give it another name", other.server);
    }
    let (server, ca) = (url(plane), Fingerprint::of(plane.authority().certificate()));
    contexts.put(context::Context { name: LOCAL.to_owned(), server, token: Some(token), fleet: None, ca: Some(ca) });
    let current = contexts.current().map(|context| context.name.clone());
    if current.is_none() {
        contexts.current = Some(LOCAL.to_owned());
    }
    contexts.save(&path)?;
    Ok(current.filter(|name| name != LOCAL).map(|_| LOCAL))
}

/// True if a server is one of this machine.
fn is_here(server: &str) -> bool {
    let host = server.parse::<http::Uri>().ok().and_then(|url| url.host().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
