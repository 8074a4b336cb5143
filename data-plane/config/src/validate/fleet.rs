//! Routes and upstreams together: names, references, and what two of them must not share.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use shadowcat_proto::config::v1 as raw;

use super::names::Names;
use super::recording::Recordings;
use super::route;
use super::scope::{Scope, optional};
use super::shared::Shared;
use super::upstream;
use crate::limits::{MAX_REFERENCES, MAX_ROUTES, MAX_UPSTREAMS};
use crate::{Config, HostPattern, Name, Route, RouteMatch, Upstream};

/// What a fleet's configuration and a local one have in common.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'r> {
    pub(crate) routes: &'r [raw::Route],
    pub(crate) upstreams: &'r [raw::Upstream],
    pub(crate) identity_providers: &'r [raw::IdentityProvider],
    pub(crate) policies: &'r [raw::Policy],
    pub(crate) rate_limits: &'r [raw::RateLimit],
    pub(crate) rule_sets: &'r [raw::RuleSet],
    pub(crate) recordings: &'r [raw::Recording],
}

/// Borrows the fields that both messages have under the same names.
macro_rules! parts_of {
    ($message:ty) => {
        impl<'r> From<&'r $message> for Parts<'r> {
            fn from(raw: &'r $message) -> Self {
                Self {
                    routes: &raw.routes,
                    upstreams: &raw.upstreams,
                    identity_providers: &raw.identity_providers,
                    policies: &raw.policies,
                    rate_limits: &raw.rate_limits,
                    rule_sets: &raw.rule_sets,
                    recordings: &raw.recordings,
                }
            }
        }
    };
}

parts_of!(raw::Config);
parts_of!(raw::LocalConfig);

pub(crate) fn fleet(raw: &Parts<'_>, top: &Scope<'_>) -> Option<Config> {
    let (route_scope, upstream_scope) = (top.field("routes"), top.field("upstreams"));
    if raw.routes.is_empty() {
        top.missing("routes", "without a route nothing is served");
    }
    let few_routes = route_scope.within(raw.routes.len(), MAX_ROUTES);
    let few_upstreams = upstream_scope.within(raw.upstreams.len(), MAX_UPSTREAMS);
    if !(few_routes && few_upstreams) {
        return None;
    }

    let shared = Shared::check(raw, top);
    let recording_scope = top.field("recordings");
    let mut recordings = Recordings::check(raw.recordings, &recording_scope);
    let mut upstreams = Upstreams::check(raw.upstreams, &upstream_scope);
    let mut names = Names::default();
    let routes = route_scope.each(raw.routes, |raw, scope| {
        let name = names.check(&raw.name, scope);
        let target = target(raw, &mut upstreams, scope);
        shared.check_route(raw, scope);
        let recording = optional(raw.recording.as_deref(), |name| recordings.named(name, &scope.field("recording")));
        let route = route::route(raw, name, target, scope)?;
        Some(Route { recording: recording?, ..route })
    });
    upstreams.report_unused(&upstream_scope);
    recordings.report_unused(&recording_scope);
    let routes = routes?;
    report_twins(&routes, &route_scope);
    Some(Config::new(routes.into_iter().map(Arc::new).collect(), upstreams.made?))
}

/// The upstreams, and which of them routes have named.
struct Upstreams<'r> {
    /// `None` if any could not be made.
    made: Option<Vec<Arc<Upstream>>>,
    by_name: HashMap<&'r str, Option<Arc<Upstream>>>,
    names: Vec<&'r str>,
    used: HashSet<&'r str>,
    /// Whether a route named an upstream that is not there: then an unused one is most likely the one it meant.
    dangling: bool,
}

impl<'r> Upstreams<'r> {
    fn check(raw: &'r [raw::Upstream], scope: &Scope<'_>) -> Self {
        let mut names = Names::default();
        let mut by_name = HashMap::with_capacity(raw.len());
        let made = scope.each(raw, |raw, scope| {
            let name = names.check(&raw.name, scope);
            let transport = upstream::transport(raw, scope);
            let upstream = name.zip(transport).map(|(name, transport)| Arc::new(Upstream { name, transport }));
            by_name.entry(raw.name.as_str()).or_insert_with(|| upstream.clone());
            upstream
        });
        let names = raw.iter().map(|raw| raw.name.as_str()).collect();
        Self { made, by_name, names, used: HashSet::new(), dangling: false }
    }

    /// The upstream of this name; `None` also when it is there and wrong, which has been reported.
    fn named(&mut self, name: &str, scope: &Scope<'_>) -> Option<Arc<Upstream>> {
        let Some((known, upstream)) = self.by_name.get_key_value(name) else {
            self.dangling = true;
            scope.field("upstream").unresolved("upstream", name, self.names.iter().copied());
            return None;
        };
        self.used.insert(known);
        upstream.clone()
    }

    fn report_unused(&self, scope: &Scope<'_>) {
        for (index, name) in self.names.iter().enumerate() {
            if !self.dangling && !name.is_empty() && !self.used.contains(name) {
                scope.item(index).error(
                    format!("no route uses the upstream {name:?}"),
                    "make it the target of a route, or remove it",
                );
            }
        }
    }
}

fn target(raw: &raw::Route, upstreams: &mut Upstreams<'_>, scope: &Scope<'_>) -> Option<Arc<Upstream>> {
    let list = scope.field("targets");
    if !list.within(raw.targets.len(), MAX_REFERENCES) {
        upstreams.dangling = true;
        return None;
    }
    let mut found = Vec::with_capacity(1);
    for (index, target) in raw.targets.iter().enumerate() {
        let scope = list.item(index);
        if target.upstream.is_empty() {
            upstreams.dangling = true;
            scope.missing("upstream", "name one of the upstreams");
        } else {
            found.push(upstreams.named(&target.upstream, &scope));
        }
        if index > 0 {
            scope.not_yet("several targets of one route");
        }
        scope.not_yet_fields([
            ("prefix", target.prefix.is_some(), "name prefixes of federated targets"),
            ("tools", target.tools.is_some(), "selecting and renaming tools"),
        ]);
    }
    if raw.targets.is_empty() {
        upstreams.dangling = true;
        scope.missing("targets", "write targets: [{ upstream: NAME }]");
    }
    found.into_iter().next().flatten()
}

type Demands<'a> = (&'a str, Option<&'a HostPattern>, Vec<(&'a str, &'a [u8])>);

/// Reports routes that match exactly the same requests: the later one would never serve any.
fn report_twins(routes: &[Route], scope: &Scope<'_>) {
    let mut seen: HashMap<Demands<'_>, &Name> = HashMap::with_capacity(routes.len());
    for (index, route) in routes.iter().enumerate() {
        match seen.entry(demands(&route.matches)) {
            Entry::Vacant(free) => {
                free.insert(&route.name);
            }
            Entry::Occupied(first) => scope.item(index).field("match").error(
                format!("matches the same requests as the route {:?}", first.get()),
                "give it another path, host or header",
            ),
        }
    }
}

fn demands(matches: &RouteMatch) -> Demands<'_> {
    let mut headers: Vec<_> = matches.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    headers.sort_unstable();
    (&matches.path, matches.host.as_ref(), headers)
}
