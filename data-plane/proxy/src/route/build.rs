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

use super::runtime::{SessionsLive, UpstreamRuntime};
use crate::drain::Drain;
use crate::observe::{ConfigMetrics, LiveVersion, Registry, RouteCalls, Totals, upstream_metrics};

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
            Self::Secret { .. } => "make it available on this node, then apply again or restart the node",
            Self::Header { .. } => "correct it on this node, then apply again or restart the node",
            Self::Url { .. } => "change the configuration",
        }
    }

    /// Where in the configuration, and what is wrong there.
    pub(crate) fn place(&self) -> (String, String) {
        match self {
            Self::Secret { upstream, source } => (format!("upstreams.{upstream}"), source.to_string()),
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
    /// Upstreams that the program supplied, by the name of the configured one they stand in for.
    injected: HashMap<String, Arc<dyn Upstream>>,
    /// Counters of a route outlive its configuration: they must not fall back to zero.
    calls: Mutex<HashMap<Arc<str>, Arc<RouteCalls>>>,
}

impl Factory {
    pub(crate) fn new(
        registry: Registry,
        configs: ConfigMetrics,
        drain: Drain,
        injected: HashMap<String, Arc<dyn Upstream>>,
    ) -> Self {
        Self { registry, configs, drain, reaper: Reaper::on_demand(), injected, calls: Mutex::default() }
    }

    /// One more configuration is alive, until what is returned is dropped.
    pub(crate) fn live_version(&self) -> LiveVersion {
        self.configs.live_version()
    }

    /// What all routes have seen since the start.
    pub(crate) fn totals(&self) -> Totals {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.values().map(|calls| calls.totals()).sum()
    }

    pub(crate) fn calls(&self, route: &Arc<str>) -> Arc<RouteCalls> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = calls.entry(Arc::clone(route));
        Arc::clone(calls.or_insert_with_key(|route| RouteCalls::new(&self.registry, route)))
    }

    pub(crate) fn upstream(&self, config: &Arc<shadowcat_config::Upstream>) -> Result<UpstreamRuntime, BuildError> {
        let name = config.name.as_str();
        let (upstream, sessions): (Arc<dyn Upstream>, _) = match (self.injected.get(name), &config.transport) {
            (Some(injected), _) => (Arc::clone(injected), SessionsLive::Anywhere),
            (None, Transport::Http(settings)) => (Arc::new(self.http(name, settings)?), SessionsLive::Anywhere),
            (None, Transport::Stdio(settings)) => (Arc::new(self.stdio(name, settings)?), SessionsLive::Here),
        };
        Ok(UpstreamRuntime::new(config, upstream, sessions, &self.drain))
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
        upstream::HttpUpstream::new(settings, &upstream_metrics(&self.registry, name))
            .map_err(|reason| BuildError::Url { upstream: name.to_owned(), reason })
    }

    fn stdio(&self, name: &str, config: &StdioUpstream) -> Result<upstream::StdioUpstream, BuildError> {
        let settings = upstream::StdioSettings {
            env: config.env.iter().map(|variable| resolve(name, variable)).collect::<Result<_, _>>()?,
            sharing: match config.sharing {
                Sharing::PerSession => upstream::Sharing::PerSession,
                Sharing::Shared => upstream::Sharing::Shared,
            },
            stop_when_idle_for: config.stop_when_idle_for,
            ..upstream::StdioSettings::new(name, config.command.clone())
        };
        Ok(upstream::StdioUpstream::new(settings, self.reaper.clone(), upstream_metrics(&self.registry, name)))
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
