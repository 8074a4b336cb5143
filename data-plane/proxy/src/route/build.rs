//! From settings to the things that act on them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue};
use shadowcat_config::{
    EnvVar, HeaderSource, HttpUpstream, SecretError, Sharing, StdioUpstream, Transport, ValueSource,
};
use shadowcat_upstream as upstream;
use shadowcat_upstream::Upstream;
use shadowcat_upstream::reaper::Reaper;

use super::runtime::{SessionsLive, UpstreamRuntime, endpoint};
use crate::drain::Drain;
use crate::observe::{
    ConfigMetrics, Kinds, LiveVersion, Names, Registry, RouteCalls, Totals, TrafficTotals, cleaner, upstream_metrics,
};
use crate::record::{ChildWatch, Recorder};

/// Why a valid configuration cannot be put to use on this machine.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A secret is not there.
    #[error("upstreams.{upstream}: {source}")]
    Secret {
        /// The upstream that refers to it.
        upstream: String,
        /// What is missing.
        source: SecretError,
    },
    /// A secret cannot be a header.
    #[error("upstreams.{upstream}.headers.{header}: the secret has characters that a header cannot carry")]
    Header {
        /// The upstream.
        upstream: String,
        /// The header.
        header: String,
    },
    /// The process was started without a place for recorded traffic.
    #[error("routes.{route}.recording: this process was started without a place for recorded traffic")]
    Recording {
        /// The route that is to be recorded.
        route: String,
    },
    /// The endpoint cannot be called.
    #[error("upstreams.{upstream}: {reason}")]
    Url {
        /// The upstream.
        upstream: String,
        /// What is wrong with its URL.
        reason: upstream::InvalidUrl,
    },
}

impl BuildError {
    /// What to do about it.
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            // No control plane sends a node again what it has refused, not after a restart either; what is applied anew comes as
            // another version, with unchanged content too.
            Self::Secret { .. } => {
                "make it available on this node, then apply the same configuration again: a restart alone does not bring it"
            }
            Self::Header { .. } => {
                "correct it on this node, then apply the same configuration again: a restart alone does not bring it"
            }
            Self::Url { .. } => "change the configuration",
            Self::Recording { .. } => "restart it: one that starts with a recording makes that place",
        }
    }

    /// Where in the configuration, and what is wrong there.
    pub(crate) fn place(&self) -> (String, String) {
        match self {
            Self::Secret { upstream, source } => (format!("upstreams.{upstream}"), source.to_string()),
            Self::Recording { route } => {
                let message = "this process was started without a place for recorded traffic".to_owned();
                (format!("routes.{route}.recording"), message)
            }
            Self::Url { upstream, reason } => (format!("upstreams.{upstream}"), reason.to_string()),
            Self::Header { upstream, header } => {
                let message = "the secret has characters that a header cannot carry".to_owned();
                (format!("upstreams.{upstream}.headers.{header}"), message)
            }
        }
    }
}

/// Makes upstreams and what counts their calls.
pub(crate) struct Factory {
    registry: Registry,
    configs: ConfigMetrics,
    drain: Drain,
    reaper: Reaper,
    /// Where routes are recorded, if anywhere.
    recorder: Option<Arc<Recorder>>,
    /// Upstreams that the program supplied, by the name of the configured one they stand in for.
    injected: HashMap<String, Arc<dyn Upstream>>,
    calls: Mutex<Calls>,
    upstreams: Mutex<Names>,
}

/// What counts the calls of routes: those in use, and some of those before, as [`FORGET_AT`] has it.
#[derive(Debug)]
struct Calls {
    routes: HashMap<Arc<str>, Arc<RouteCalls>>,
    names: Names,
    kinds: Arc<Kinds>,
    /// What those have seen that are forgotten.
    past: Totals,
    forget_at: usize,
}

/// Routes that no configuration has any more are looked for when so many are counted: rarely, since each look is at all of them.
const FORGET_AT: usize = 1_024;

impl Default for Calls {
    fn default() -> Self {
        let (routes, names, past) = (HashMap::new(), Names::default(), Totals::default());
        Self { routes, names, kinds: Arc::default(), past, forget_at: FORGET_AT }
    }
}

impl Calls {
    fn of(&mut self, route: &Arc<str>, registry: &Registry) -> Arc<RouteCalls> {
        if let Some(calls) = self.routes.get(route) {
            return Arc::clone(calls);
        }
        if self.routes.len() >= self.forget_at {
            self.forget();
        }
        let calls = RouteCalls::new(registry, &self.kinds, route, self.names.label(route));
        self.routes.insert(Arc::clone(route), Arc::clone(&calls));
        calls
    }

    /// Drops what nobody else holds. In metrics it stays: whoever comes back under its name goes on there.
    fn forget(&mut self) {
        let mut past = self.past;
        self.routes.retain(|_, calls| {
            let totals = calls.totals();
            let in_use = Arc::strong_count(calls) > 1 || totals.streams > 0;
            if !in_use {
                past = [past, totals].into_iter().sum();
            }
            in_use
        });
        self.past = past;
        self.forget_at = FORGET_AT.max(self.routes.len() * 2);
    }

    fn totals(&self) -> Totals {
        self.routes.values().map(|calls| calls.totals()).chain([self.past]).sum()
    }
}

impl Factory {
    pub(crate) fn new(
        registry: Registry,
        configs: ConfigMetrics,
        drain: Drain,
        injected: HashMap<String, Arc<dyn Upstream>>,
        recorder: Option<Arc<Recorder>>,
    ) -> Self {
        Self {
            registry,
            configs,
            drain,
            reaper: Reaper::on_demand(),
            recorder,
            injected,
            calls: Mutex::default(),
            upstreams: Mutex::default(),
        }
    }

    /// Whether what a route asks to be recorded can be.
    pub(crate) fn check_recording(&self, route: &shadowcat_config::Route) -> Result<(), BuildError> {
        match (&route.recording, &self.recorder) {
            (Some(_), None) => Err(BuildError::Recording { route: route.name.to_string() }),
            _ => Ok(()),
        }
    }

    /// One more configuration is alive, until what is returned is dropped.
    pub(crate) fn live_version(&self) -> LiveVersion {
        self.configs.live_version()
    }

    /// What all routes have seen since the start.
    pub(crate) fn totals(&self) -> Totals {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).totals()
    }

    /// What the calls of those kinds have come to since the start that are not told apart.
    pub(crate) fn rest(&self) -> TrafficTotals {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).kinds.rest()
    }

    pub(crate) fn calls(&self, route: &Arc<str>) -> Arc<RouteCalls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).of(route, &self.registry)
    }

    fn upstream_metrics(&self, name: &str) -> upstream::UpstreamMetrics {
        let label = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner).label(name);
        upstream_metrics(&self.registry, &label)
    }

    pub(crate) fn upstream(&self, config: &Arc<shadowcat_config::Upstream>) -> Result<UpstreamRuntime, BuildError> {
        let name = config.name.as_str();
        let mut children = None;
        let serving: (Arc<dyn Upstream>, _) = match (self.injected.get(name), &config.transport) {
            (Some(injected), _) => (Arc::clone(injected), SessionsLive::Anywhere),
            (None, Transport::Http(settings)) => (Arc::new(self.http(name, settings)?), SessionsLive::Anywhere),
            (None, Transport::Stdio(settings)) => {
                let watch = |recorder| ChildWatch::new(recorder, name.into(), endpoint(&config.transport));
                children = self.recorder.as_ref().map(watch);
                (Arc::new(self.stdio(name, settings, children.clone())?), SessionsLive::Here)
            }
        };
        Ok(UpstreamRuntime::new(config, serving, children, &self.drain))
    }

    fn http(&self, name: &str, config: &HttpUpstream) -> Result<upstream::HttpUpstream, BuildError> {
        let settings = upstream::HttpSettings {
            name: name.into(),
            url: config.url.clone(),
            headers: headers(name, config)?,
            max_connections: config.connections.max,
            idle_timeout: config.connections.idle_timeout,
            connect: config.timeouts.connect,
            first_byte: config.timeouts.first_byte,
            idle: config.timeouts.idle,
        };
        upstream::HttpUpstream::new(settings, &self.upstream_metrics(name))
            .map_err(|reason| BuildError::Url { upstream: name.to_owned(), reason })
    }

    fn stdio(
        &self,
        name: &str,
        config: &StdioUpstream,
        children: Option<Arc<ChildWatch>>,
    ) -> Result<upstream::StdioUpstream, BuildError> {
        let observer = children.map(|watch| -> Arc<dyn upstream::ChildObserver> { watch });
        let settings = upstream::StdioSettings {
            env: config.env.iter().map(|variable| resolve(name, variable)).collect::<Result<_, _>>()?,
            sharing: match config.sharing {
                Sharing::PerSession => upstream::Sharing::PerSession,
                Sharing::Shared => upstream::Sharing::Shared,
            },
            stop_when_idle_for: config.stop_when_idle_for,
            watch: upstream::Watch { observer, cleaner: Some(Arc::new(cleaner)) },
            ..upstream::StdioSettings::new(name, config.command.clone())
        };
        Ok(upstream::StdioUpstream::new(settings, self.reaper.clone(), self.upstream_metrics(name)))
    }
}

fn headers(name: &str, config: &HttpUpstream) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::with_capacity(config.headers.len());
    for header in &config.headers {
        let value = match &header.value {
            HeaderSource::Value(value) => value.clone(),
            HeaderSource::Secret(reference) => {
                let secret = reference.resolve().map_err(missing(name))?;
                let mut value = HeaderValue::from_str(secret.as_str())
                    .map_err(|_| BuildError::Header { upstream: name.to_owned(), header: header.name.to_string() })?;
                value.set_sensitive(true);
                value
            }
        };
        headers.append(header.name.clone(), value);
    }
    Ok(headers)
}

fn resolve(name: &str, variable: &EnvVar) -> Result<(String, String), BuildError> {
    let value = match &variable.value {
        ValueSource::Value(value) => value.clone(),
        ValueSource::Secret(reference) => reference.resolve().map_err(missing(name))?.as_str().to_owned(),
    };
    Ok((variable.name.clone(), value))
}

fn missing(name: &str) -> impl FnOnce(SecretError) -> BuildError {
    move |source| BuildError::Secret { upstream: name.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::observe::Outcome;

    #[test]
    fn routes_that_come_and_go_are_forgotten_and_their_calls_are_not() {
        let (registry, mut calls) = (Registry::new(), Calls::default());
        let stays = calls.of(&"stays".into(), &registry);
        for number in 0..12_000 {
            let route = calls.of(&format!("preview-{number}").into(), &registry);
            if number % 1_000 == 0 {
                route.record("ping", None, Outcome::Failed, Instant::now());
            }
            assert!(calls.routes.len() <= FORGET_AT);
        }
        assert_eq!((calls.totals().ended, calls.totals().failed), (12, 12));
        assert!(Arc::ptr_eq(&stays, &calls.of(&"stays".into(), &registry)));
        let metrics = registry.render();
        let series = metrics.lines().filter(|line| line.starts_with("shadowcat_streams{")).count();
        assert!(series <= 10_001 && metrics.contains("shadowcat_streams{route=\"other\"}"), "{series}");
        // It was counted under its own name, and is again.
        calls.of(&"preview-0".into(), &registry).record("ping", None, Outcome::Failed, Instant::now());
        let counted = |line: &str| {
            line.starts_with("shadowcat_requests_total{route=\"preview-0\"")
                && line.contains("failed")
                && line.ends_with(" 2")
        };
        assert!(registry.render().lines().any(counted), "{metrics}");
    }
}
