//! What a configuration becomes: routes with everything a call needs, built once, off the way of any call.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderValue, Response};
use shadowcat_config::{Config, Route, RouteTimeouts, Transport};
use shadowcat_session::SessionStore;
use shadowcat_upstream::{Call, Stage, Upstream, UpstreamBody, UpstreamError, Why};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::RouteTable;
use super::build::{BuildError, Factory};
use super::held::HeldSessions;
use crate::drain::Drain;
use crate::fleet::{Preparer, Provenance};
use crate::observe::{ConfigMetrics, LiveVersion, Registry, RouteCalls};
use crate::record::{ChildWatch, RecordedRoute, Recorder, Records, Terms};
use crate::stream::Detached;

/// An upstream that a new configuration no longer has is stopped when its last call has ended, or after this.
const RETIREMENT_MAX: Duration = Duration::from_secs(300);

/// How often a retiring upstream is asked whether it still has calls.
const RETIREMENT_LOOK: Duration = Duration::from_millis(250);

/// A configuration that was replaced is looked at first after this, and then twice as late each time up to [`RETIREMENT_LOOK`]: most
/// of its readers are done within milliseconds, and versions that follow each other fast must not pile up.
const FIRST_LOOK: Duration = Duration::from_millis(5);

/// What outlives every configuration.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn SessionStore>,
    /// This boot of this node.
    pub(crate) instance: Arc<str>,
    pub(crate) drain: Drain,
    /// Tasks that outlive a call: detached streams, replays.
    pub(crate) tasks: TaskTracker,
    /// Upstreams on their way out. They are waited for after all else, as those that serve to the end are.
    pub(crate) retiring: TaskTracker,
    pub(crate) registry: Registry,
    pub(crate) configs: ConfigMetrics,
    pub(crate) detached: Arc<Detached>,
    /// Absent where nothing can be recorded.
    pub(crate) recorder: Option<Arc<Recorder>>,
    /// What was recorded and is on this machine's disk.
    pub(crate) records: Option<Records>,
}

/// A configuration in use. Immutable: a change makes another one.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// Absent until the first one has come.
    pub(crate) config: Option<Config>,
    pub(crate) provenance: Provenance,
    pub(crate) routes: RouteTable,
    upstreams: HashMap<Arc<str>, Arc<UpstreamRuntime>>,
    /// Counts this one among those alive.
    _alive: Option<LiveVersion>,
}

/// An upstream in use, carried over from one configuration to the next as long as its own part of it is unchanged.
pub(crate) struct UpstreamRuntime {
    config: Arc<shadowcat_config::Upstream>,
    pub(crate) name: Arc<str>,
    /// Its URL, or the name of its program, as records have it.
    pub(crate) endpoint: Arc<str>,
    pub(crate) upstream: Arc<dyn Upstream>,
    /// Records its children; absent where it has none, or nothing is recorded in this process.
    children: Option<Arc<ChildWatch>>,
    pub(crate) sessions: SessionsLive,
    pub(crate) held: HeldSessions,
    /// Cancelled when streams that belong to no call are to be opened anew: the gateway drains, or the upstream retires.
    pub(crate) leaving: CancellationToken,
}

/// Where an upstream keeps its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionsLive {
    /// In a child of this process: no other replica can serve them.
    Here,
    /// At the server, or nowhere: any replica can.
    Anywhere,
}

/// A route in use.
#[derive(Debug)]
pub(crate) struct RouteRuntime {
    pub(crate) config: Arc<Route>,
    pub(crate) name: Arc<str>,
    pub(crate) target: Arc<UpstreamRuntime>,
    pub(crate) calls: Arc<RouteCalls>,
    /// What its records say of it, where it is recorded.
    pub(crate) recorded: Option<Arc<RecordedRoute>>,
}

impl Runtime {
    /// What a gateway runs before its first configuration: nothing.
    pub(crate) fn none() -> Self {
        let (config, provenance, _alive) = (None, Provenance::none(), None);
        Self { config, provenance, routes: RouteTable::default(), upstreams: HashMap::new(), _alive }
    }

    /// Builds everything that `config` names; what `previous` has and is unchanged is taken over.
    pub(crate) fn build(
        config: Config,
        provenance: Provenance,
        previous: &Self,
        factory: &Factory,
    ) -> Result<Self, BuildError> {
        let mut upstreams = HashMap::new();
        for wanted in config.upstreams() {
            let kept = previous.upstreams.get(wanted.name.as_str());
            let upstream = match kept {
                Some(kept) if kept.config == *wanted => Arc::clone(kept),
                _ => Arc::new(factory.upstream(wanted)?),
            };
            upstreams.insert(Arc::clone(&upstream.name), upstream);
        }
        config.routes().iter().try_for_each(|route| factory.check_recording(route))?;
        let routes = config.routes().iter().map(|route| {
            let name: Arc<str> = route.name.as_str().into();
            let target = Arc::clone(&upstreams[route.target.name.as_str()]);
            let calls = factory.calls(&name);
            let recorded = route.recording.as_ref().map(|recording| {
                Arc::new(RecordedRoute {
                    recording: Arc::clone(recording),
                    name: Arc::clone(&name),
                    path: Arc::from(&*route.matches.path),
                    upstream: Arc::clone(&target.name),
                    endpoint: Arc::clone(&target.endpoint),
                })
            });
            Arc::new(RouteRuntime { config: Arc::clone(route), name, target, calls, recorded })
        });
        let routes = RouteTable::new(routes);
        Ok(Self { config: Some(config), provenance, routes, upstreams, _alive: Some(factory.live_version()) })
    }

    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Arc<UpstreamRuntime>> {
        self.upstreams.values()
    }

    /// The upstream of this name.
    pub(crate) fn upstream(&self, name: &str) -> Option<&Arc<UpstreamRuntime>> {
        self.upstreams.get(name)
    }

    /// From now on children are recorded as the routes of this configuration say: it is put to use. Upstreams that it took over may
    /// have been under other terms.
    pub(crate) fn watch_children(&self) {
        let Some(config) = &self.config else { return };
        let mut routes: HashMap<&str, Vec<&Route>> = HashMap::new();
        for route in config.routes() {
            routes.entry(route.target.name.as_str()).or_default().push(route);
        }
        let version = self.provenance.number().unwrap_or_default();
        for upstream in self.upstreams() {
            if let Some(children) = &upstream.children {
                let asking = routes.get(&*upstream.name).map(Vec::as_slice).unwrap_or_default();
                children.agree(Terms::of(asking, version));
            }
        }
    }

    /// Ends a configuration that `next` has replaced, or that was never put to use. Once nobody reads it any more it goes back to
    /// the thread that built it, which frees it: with a thousand upstreams that takes longer than a call may wait. What `next`
    /// does not take over is stopped when its last call has ended, or a drain's time is up. Whoever swaps waits for none of it.
    pub(crate) fn retire(self: Arc<Self>, next: Arc<Self>, shared: &Shared, preparer: Preparer) {
        let drain = shared.drain.clone();
        shared.retiring.spawn(async move {
            let Leaving { serving, ending } = self.leaving(&next);
            drop(next);
            // A stream that waits for whatever the server says would wait here for as long as its client stays.
            serving.iter().chain(&ending).for_each(|upstream| upstream.leaving.cancel());
            settled(&drain, || Arc::strong_count(&self) == 1).await;
            preparer.bury(self).await;
            let ending = ending.iter().map(|upstream| upstream.stop_when_idle(&drain));
            let serving = serving.iter().map(|upstream| upstream.end_held_when_idle(&drain));
            tokio::join!(join_all(ending), join_all(serving));
        });
    }

    /// What `next` does not take over; one look at each upstream, since there may be thousands.
    fn leaving(&self, next: &Self) -> Leaving {
        let address = |upstream: &Arc<UpstreamRuntime>| Arc::as_ptr(&upstream.upstream).cast::<()>().addr();
        let serving: HashSet<_> = next.upstreams().map(address).collect();
        let taken_over =
            |old: &&Arc<UpstreamRuntime>| next.upstream(&old.name).is_some_and(|new| Arc::ptr_eq(new, old));
        let leaving = self.upstreams().filter(|old| !taken_over(old)).map(Arc::clone);
        let (serving, ending) = leaving.partition(|old| serving.contains(&address(old)));
        Leaving { serving, ending }
    }
}

/// Upstreams that a configuration leaves behind.
struct Leaving {
    /// A program's own, which serve on under settings that changed.
    serving: Vec<Arc<UpstreamRuntime>>,
    ending: Vec<Arc<UpstreamRuntime>>,
}

impl UpstreamRuntime {
    pub(crate) fn new(
        config: &Arc<shadowcat_config::Upstream>,
        (upstream, sessions): (Arc<dyn Upstream>, SessionsLive),
        children: Option<Arc<ChildWatch>>,
        drain: &Drain,
    ) -> Self {
        let name = config.name.as_str().into();
        let (held, leaving) = (HeldSessions::new(), drain.announcement());
        let endpoint = endpoint(&config.transport);
        Self { config: Arc::clone(config), name, endpoint, upstream, children, sessions, held, leaving }
    }

    /// Ends what the gateway keeps there in its own name, and then the upstream.
    pub(crate) async fn stop(&self) {
        self.held.end(&*self.upstream).await;
        self.upstream.shutdown().await;
    }

    async fn stop_when_idle(&self, drain: &Drain) {
        if !settled(drain, || self.upstream.status().in_flight == 0 && self.held.are_at_rest()).await {
            tracing::warn!(upstream = %self.name, "retired upstream still had calls and was stopped");
        }
        self.stop().await;
    }

    async fn end_held_when_idle(&self, drain: &Drain) {
        settled(drain, || self.held.are_at_rest()).await;
        self.held.end(&*self.upstream).await;
    }
}

/// Looks until `done` for at most [`RETIREMENT_MAX`], and until a drain's time is up; false if it was not.
async fn settled(drain: &Drain, done: impl Fn() -> bool) -> bool {
    let looking = async {
        let mut look = FIRST_LOOK;
        while !done() {
            tokio::time::sleep(look).await;
            look = (look * 2).min(RETIREMENT_LOOK);
        }
    };
    tokio::select! {
        looked = tokio::time::timeout(RETIREMENT_MAX, looking) => looked.is_ok(),
        () = drain.time_is_up() => done(),
    }
}

impl RouteRuntime {
    /// Calls the route's upstream; the answer's head arrives, and its body goes on, within the route's times, whatever the
    /// upstream's own bounds are.
    pub(crate) async fn call(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError> {
        let RouteTimeouts { request, idle, .. } = self.config.timeouts;
        match tokio::time::timeout(request, self.target.upstream.call(call)).await {
            Ok(answered) => answered.map(|mut response| {
                response.body_mut().limit_silence(idle);
                response
            }),
            Err(_elapsed) => Err(UpstreamError {
                upstream: (&*self.target.name).into(),
                stage: Stage::FirstByte,
                why: Why::TimedOut,
                sent: true,
                detail: format!("no answer within the {request:?} that route {} allows (timeouts.request)", self.name),
            }),
        }
    }

    /// Ends an upstream session that nobody will use. Nobody waits for it.
    pub(crate) fn abandon(self: &Arc<Self>, session: HeaderValue, tasks: &TaskTracker) {
        let route = Arc::clone(self);
        tasks.spawn(async move {
            if let Err(error) = route.call(Call::delete(session)).await {
                tracing::debug!(route = %route.name, %error, "upstream session not ended");
            }
        });
    }
}

/// What records call an upstream: its URL, or the name of its program.
pub(super) fn endpoint(transport: &Transport) -> Arc<str> {
    match transport {
        // A query may hold a key.
        Transport::Http(http) => http.url.to_string().split('?').next().unwrap_or_default().into(),
        Transport::Stdio(stdio) => {
            let program = stdio.command.first().map_or("", String::as_str);
            program.rsplit('/').next().unwrap_or(program).into()
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl fmt::Debug for UpstreamRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamRuntime").field("name", &self.name).finish_non_exhaustive()
    }
}
