//! Routes and upstreams together: names, references, and what two of them must not share.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use shadowcat_proto::config::v1 as raw;

use super::route;
use super::scope::Scope;
use super::upstream;
use crate::limits::{MAX_ROUTES, MAX_UPSTREAMS};
use crate::source::not_yet;
use crate::suggest::did_you_mean;
use crate::{Config, HostPattern, Name, Route, RouteMatch, Upstream};

pub(crate) fn fleet(raw_routes: &[raw::Route], raw_upstreams: &[raw::Upstream], top: &Scope<'_>) -> Option<Config> {
    let (route_scope, upstream_scope) = (top.field("routes"), top.field("upstreams"));
    if raw_routes.is_empty() {
        top.missing("routes", "without a route nothing is served");
    }
    let few_routes = route_scope.within(raw_routes.len(), MAX_ROUTES);
    let few_upstreams = upstream_scope.within(raw_upstreams.len(), MAX_UPSTREAMS);
    if !(few_routes && few_upstreams) {
        return None;
    }

    let mut upstreams = Upstreams::check(raw_upstreams, &upstream_scope);
    let mut names = Names::default();
    let routes = route_scope.each(raw_routes, |raw, scope| {
        let name = names.check(&raw.name, scope);
        let target = target(raw, &mut upstreams, scope);
        route::route(raw, name, target, scope)
    });
    upstreams.report_unused(&upstream_scope);
    let routes = routes?;
    report_twins(&routes, &route_scope);
    Some(Config::new(routes.into_iter().map(Arc::new).collect(), upstreams.made?))
}

/// Checks names, and that none is given twice.
#[derive(Default)]
struct Names<'r>(HashSet<&'r str>);

impl<'r> Names<'r> {
    fn check(&mut self, text: &'r str, scope: &Scope<'_>) -> Option<Name> {
        if text.is_empty() {
            scope.missing("name", "errors, logs and metrics show it");
            return None;
        }
        let name = Name::new(text);
        if name.is_none() {
            scope
                .field("name")
                .error(format!("{text:?} is not a name"), "up to 63 lower-case letters, digits and inner hyphens");
        }
        if !self.0.insert(text) {
            scope.field("name").error(format!("the name {text:?} is taken"), "names are unique among their kind");
        }
        name
    }
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
            let hint = did_you_mean(name, self.names.iter().copied());
            scope.field("upstream").error_maybe(format!("no upstream named {name:?}"), hint);
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
    let mut found = Vec::with_capacity(1);
    for (index, target) in raw.targets.iter().enumerate() {
        let scope = scope.field("targets");
        let scope = scope.item(index);
        if target.upstream.is_empty() {
            upstreams.dangling = true;
            scope.missing("upstream", "name one of the upstreams");
        } else {
            found.push(upstreams.named(&target.upstream, &scope));
        }
        if index > 0 {
            scope.not_yet(not_yet::FEDERATION);
        }
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
