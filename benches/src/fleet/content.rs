//! The configurations that are committed: of the size the targets are about, each differing from the one before.

use std::net::SocketAddr;

use shadowcat_proto::config::v1::upstream::Http;
use shadowcat_proto::config::v1::upstream::http::{Endpoint, Timeouts};
use shadowcat_proto::config::v1::{Config, Route, Upstream, route};

use crate::exchange::PATH;

/// Upstreams of the fleet's configuration.
const UPSTREAMS: usize = 100;

/// Routes of the fleet's configuration.
const ROUTES: usize = 2_000;

/// Upstreams that are swapped all at once.
const SWAPPED: usize = 1_000;

/// Where upstreams listen that nobody calls: every upstream has a port of its own.
const FIRST_PORT: usize = 20_000;

/// A connection may take so long, in milliseconds; more by one in each generation.
const CONNECT_MS: usize = 5_000;

/// What one commit after another changes in a fleet: one route, as people do.
pub(super) fn edited(generation: usize) -> Config {
    let upstreams = (0..UPSTREAMS).map(|index| upstream(index, unused(index), 0)).collect();
    let mut routes: Vec<_> = (0..ROUTES).map(|index| routed(index, index % UPSTREAMS)).collect();
    let edited = &mut routes[generation % ROUTES];
    edited.timeouts = Some(route::Timeouts { request: Some(format!("{}s", 60 + generation)), idle: None });
    Config { routes, upstreams, ..Config::default() }
}

/// A configuration in which no upstream is as it was in the generation before; the first is the one that is called.
pub(super) fn swapped(reference: SocketAddr, generation: usize) -> Config {
    let url = |index| if index == 0 { format!("http://{reference}{PATH}") } else { unused(index) };
    let upstreams = (0..SWAPPED).map(|index| upstream(index, url(index), generation)).collect();
    let mut routes: Vec<_> = (0..SWAPPED).map(|index| routed(index, index)).collect();
    routes[0].r#match = Some(route::Match { path: PATH.to_owned(), ..route::Match::default() });
    Config { routes, upstreams, ..Config::default() }
}

fn unused(index: usize) -> String {
    format!("http://127.0.0.1:{}{PATH}", FIRST_PORT + index)
}

fn upstream(index: usize, url: String, generation: usize) -> Upstream {
    let timeouts = Timeouts { connect: Some(format!("{}ms", CONNECT_MS + generation)), ..Timeouts::default() };
    let endpoints = vec![Endpoint { url, ..Endpoint::default() }];
    let http = Http { endpoints, timeouts: Some(timeouts), ..Http::default() };
    Upstream { name: format!("upstream-{index}"), http: Some(http), ..Upstream::default() }
}

fn routed(index: usize, to: usize) -> Route {
    Route {
        name: format!("team-{}-service-{index}", index % 40),
        r#match: Some(route::Match {
            path: format!("/teams/{}/services/{index}", index % 40),
            ..route::Match::default()
        }),
        targets: vec![route::Target { upstream: format!("upstream-{to}"), ..route::Target::default() }],
        timeouts: Some(route::Timeouts { request: Some("60s".to_owned()), idle: None }),
        ..Route::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = "127.0.0.1:3000";

    #[test]
    fn what_is_committed_is_valid_and_of_the_size_that_is_promised() {
        let config = edited(7);
        assert_eq!((config.upstreams.len(), config.routes.len()), (UPSTREAMS, ROUTES));
        shadowcat_config::Config::try_from(&config).unwrap();
        let config = swapped(REFERENCE.parse().unwrap(), 7);
        assert_eq!(config.upstreams.len(), SWAPPED);
        shadowcat_config::Config::try_from(&config).unwrap();
    }

    #[test]
    fn a_commit_edits_a_route_or_swaps_every_upstream() {
        // The route that was edited before is as it was at first.
        assert_eq!(shadowcat_config::diff(&edited(1), &edited(2)).len(), 2);
        let [before, after] = [1, 2].map(|generation| swapped(REFERENCE.parse().unwrap(), generation));
        assert_eq!(shadowcat_config::diff(&before, &after).len(), SWAPPED);
    }
}
