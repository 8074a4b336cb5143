//! The one validator: raw messages in, types that cannot be wrong out, or every mistake at once.
//!
//! A check takes a raw value and a [`Scope`], reports what it finds there, and returns `None` if nothing could be made.
//! Checks of one message all run before their results are put together, so that the first mistake hides no other.

mod fleet;
mod header;
mod names;
mod node;
mod not_yet;
mod recording;
mod route;
mod scope;
mod shared;
mod upstream;
mod url;
mod value;

#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod tests;

use shadowcat_proto::config::v1 as raw;

use crate::limits::MAX_SHARED;
use crate::{Config, Diagnostic, Diagnostics, LocalConfig, Transport};
use scope::{Findings, Scope};
pub(crate) use url::names_a_host;

impl TryFrom<&raw::Config> for Config {
    type Error = Diagnostics;

    fn try_from(raw: &raw::Config) -> Result<Self, Diagnostics> {
        version(raw).map_err(Diagnostics::as_told)
    }
}

impl TryFrom<&raw::LocalConfig> for LocalConfig {
    type Error = Diagnostics;

    fn try_from(raw: &raw::LocalConfig) -> Result<Self, Diagnostics> {
        local(raw).map_err(Diagnostics::as_told)
    }
}

/// Checks what a fleet would run; the mistakes have no positions yet.
pub(crate) fn version(raw: &raw::Config) -> Result<Config, Vec<Diagnostic>> {
    run(|top| {
        let list = top.field("rule_sets");
        for (index, rule_set) in raw.rule_sets.iter().enumerate().take(MAX_SHARED) {
            if rule_set.file.is_some() {
                list.item(index).field("file").error(
                    "a version holds no references to files: nodes have none of them",
                    "write the rules as source: TEXT",
                );
            }
        }
        fleet::fleet(&raw.into(), top)
    })
}

/// Checks what one machine reads; the mistakes have no positions yet.
pub(crate) fn local(raw: &raw::LocalConfig) -> Result<LocalConfig, Vec<Diagnostic>> {
    run(|top| {
        let node = node::node(raw.node.as_ref(), &top.field("node"));
        let config = fleet::fleet(&raw.into(), top);
        Some(LocalConfig { node: node?, config: config?.written(&fleet_part(raw)) })
    })
}

/// What of it a fleet could run.
fn fleet_part(raw: &raw::LocalConfig) -> raw::Config {
    raw::Config {
        routes: raw.routes.clone(),
        upstreams: raw.upstreams.clone(),
        identity_providers: raw.identity_providers.clone(),
        policies: raw.policies.clone(),
        rate_limits: raw.rate_limits.clone(),
        rule_sets: raw.rule_sets.clone(),
        recordings: raw.recordings.clone(),
    }
}

/// Checks an HTTP upstream of which only the URL is known.
pub(crate) fn http_transport(url: &str) -> Result<Transport, Diagnostics> {
    let endpoint = raw::upstream::http::Endpoint { url: url.to_owned(), weight: None };
    let http = raw::upstream::Http { endpoints: vec![endpoint], ..Default::default() };
    run(|top| upstream::http(&http, top).map(Transport::Http)).map_err(Diagnostics::as_told)
}

/// Checks a stdio upstream of which only the command is known.
pub(crate) fn stdio_transport(command: Vec<String>) -> Result<Transport, Diagnostics> {
    let stdio = raw::upstream::Stdio { command, ..Default::default() };
    run(|top| upstream::stdio(&stdio, top).map(Transport::Stdio)).map_err(Diagnostics::as_told)
}

fn run<T>(check: impl FnOnce(&Scope<'_>) -> Option<T>) -> Result<T, Vec<Diagnostic>> {
    let findings = Findings::default();
    let made = check(&Scope::top(&findings));
    let mistakes = findings.into_vec();
    match made {
        Some(made) if mistakes.is_empty() => Ok(made),
        _ => Err(mistakes),
    }
}
