//! Which route a request is for.

use std::collections::HashMap;
use std::sync::Arc;

use http::Request;
use http::header::HOST;

use super::RouteRuntime;
use crate::admit::host_of;

/// Routes by path; those that share one stand in the order in which the configuration tries them.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    by_path: HashMap<Box<str>, Vec<Arc<RouteRuntime>>>,
}

impl RouteTable {
    pub(crate) fn new(routes: impl IntoIterator<Item = Arc<RouteRuntime>>) -> Self {
        let mut by_path: HashMap<Box<str>, Vec<Arc<RouteRuntime>>> = HashMap::new();
        for route in routes {
            by_path.entry(route.config.matches.path.clone()).or_default().push(route);
        }
        Self { by_path }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<RouteRuntime>> {
        self.by_path.values().flatten()
    }

    /// The first route whose path, host and headers are the request's.
    pub(crate) fn find<B>(&self, request: &Request<B>) -> Option<&Arc<RouteRuntime>> {
        self.by_path.get(request.uri().path())?.iter().find(|route| route.serves(request))
    }
}

impl RouteRuntime {
    fn serves<B>(&self, request: &Request<B>) -> bool {
        let matches = &self.config.matches;
        let host_fits = matches.host.as_ref().is_none_or(|wanted| {
            let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
            let authority = named.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
            authority.is_some_and(|authority| wanted.matches(host_of(authority)))
        });
        host_fits && matches.headers_match(request.headers())
    }
}
