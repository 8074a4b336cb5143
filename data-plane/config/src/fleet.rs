//! The whole: what a fleet runs, and what one machine reads from a file.

use std::fmt;
use std::sync::Arc;

use shadowcat_proto::config::v1 as raw;

use crate::route::{RouteMatch, RouteTimeouts};
use crate::{Name, Node, Route, SessionMode, Sessions, Transport, Upstream, canonical};

/// The path of the one route of [`Config::single`]: where every MCP client looks first.
pub const DEFAULT_PATH: &str = "/mcp";

/// Routes and their upstreams, valid by construction.
///
/// It is made from raw messages by `TryFrom`, from text by [`parse_local`](crate::parse_local), or by
/// [`Config::single`]; equality is that of meaning, so that a reload which changed nothing can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    routes: Vec<Arc<Route>>,
    upstreams: Vec<Arc<Upstream>>,
    written: Written,
}

/// The canonical bytes of what a file says. They make no difference to what a configuration means, and hold what should not be
/// printed.
#[derive(Clone, Default)]
struct Written(Option<Arc<[u8]>>);

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Written {}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written").finish_non_exhaustive()
    }
}

impl Config {
    pub(crate) fn new(mut routes: Vec<Arc<Route>>, upstreams: Vec<Arc<Upstream>>) -> Self {
        // A stable sort: what is equally specific keeps the order in which it was written.
        routes.sort_by_key(|route| route.matches.precedence());
        Self { routes, upstreams, written: Written::default() }
    }

    /// One route at [`DEFAULT_PATH`] to one upstream, everything else by default.
    #[must_use]
    pub fn single(transport: Transport, mode: SessionMode) -> Self {
        let upstream = Arc::new(Upstream { name: Name::of_the_only_one(), transport });
        let route = Route {
            name: Name::of_the_only_one(),
            matches: RouteMatch { path: DEFAULT_PATH.into(), host: None, headers: Vec::new() },
            target: upstream.clone(),
            sessions: Sessions { mode, ..Sessions::default() },
            cors: None,
            timeouts: RouteTimeouts::default(),
            recording: None,
        };
        Self::new(vec![Arc::new(route)], vec![upstream])
    }

    pub(crate) fn written(mut self, raw: &raw::Config) -> Self {
        self.written = Written(Some(canonical(raw).into()));
        self
    }

    /// What the file says that this was read from, as [`canonical`](crate::canonical) bytes; none if it comes from elsewhere.
    #[must_use]
    pub fn canonical(&self) -> Option<&[u8]> {
        self.written.0.as_deref()
    }

    /// The routes in the order in which they are tried: the first that matches a request serves it.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// Whether any route is recorded.
    #[must_use]
    pub fn records(&self) -> bool {
        self.routes.iter().any(|route| route.recording.is_some())
    }

    /// The upstreams, each the target of a route.
    #[must_use]
    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }
}

/// What one machine reads from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalConfig {
    /// The settings of this process.
    pub node: Node,
    /// What a fleet would run.
    pub config: Config,
}
