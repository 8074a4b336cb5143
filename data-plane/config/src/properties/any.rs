//! Messages with anything in them, valid or not, and small changes to them.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::{collection::vec, option, sample};
use shadowcat_proto::config::v1 as raw;

use super::valid::{local, text};

/// Texts of a few lines as well, which are printed in a way of their own.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => text(),
        1 => "[a-z #:$\\{\\}'-]{0,6}(\n[a-z #:-]{0,6}){1,3}",
        1 => "[0-9_.:xe+-]{1,6}",
    ]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(any_text(), 0..3)
}

fn number() -> impl Strategy<Value = Option<u32>> {
    option::of(any::<u32>())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), "[a-c]{1,2}", any_text()]
}

/// What a route may have and nothing acts on yet.
fn unacted_route() -> impl Strategy<Value = raw::Route> {
    use raw::route::target::{Tools, tools::Rename};
    use raw::route::{Authentication, Target};
    let tools = (texts(), vec((any_text(), any_text()), 0..2)).prop_map(|(allow, rename)| Tools {
        allow,
        rename: rename.into_iter().map(|(from, to)| Rename { from, to }).collect(),
    });
    let target = (name(), option::of(any_text()), option::of(tools)).prop_map(|(upstream, prefix, tools)| Target {
        upstream,
        prefix,
        tools,
    });
    let authentication =
        (texts(), option::of(0..=1i32)).prop_map(|(providers, anonymous)| Authentication { providers, anonymous });
    (name(), vec(target, 0..3), option::of(authentication), (texts(), texts(), texts()), option::of(any_text()))
        .prop_map(|(name, targets, authentication, (policies, rate_limits, rule_sets), recording)| raw::Route {
            name,
            targets,
            authentication,
            policies,
            rate_limits,
            rule_sets,
            recording,
            ..Default::default()
        })
}

fn unacted_upstream() -> impl Strategy<Value = raw::Upstream> {
    use raw::upstream::{CircuitBreaker, HealthCheck, Limits, LoadBalancing, Retry, Stdio};
    let balancing =
        (option::of(0..=1i32), option::of(0..=1i32)).prop_map(|(policy, sticky)| LoadBalancing { policy, sticky });
    let check = (option::of(any_text()), number())
        .prop_map(|(interval, unhealthy_after)| HealthCheck { interval, unhealthy_after });
    let breaker = (number(), option::of(any_text())).prop_map(|(consecutive_failures, open_for)| CircuitBreaker {
        consecutive_failures,
        open_for,
        max_open: None,
    });
    let retry = number().prop_map(|budget_percent| Retry { budget_percent, min_concurrent: None });
    let limits = number().prop_map(|max_queued| Limits { max_queued, ..Default::default() });
    let stdio = (texts(), option::of(0..=2i32), option::of(any_text()))
        .prop_map(|(command, sharing, memory_limit)| Stdio { command, sharing, memory_limit, ..Default::default() });
    let parts = (option::of(balancing), option::of(check), option::of(breaker), option::of(retry), option::of(limits));
    (name(), option::of(stdio), parts).prop_map(
        |(name, stdio, (load_balancing, health_check, circuit_breaker, retry, limits))| raw::Upstream {
            name,
            stdio,
            load_balancing,
            health_check,
            circuit_breaker,
            retry,
            limits,
            http: None,
        },
    )
}

fn identity_provider() -> impl Strategy<Value = raw::IdentityProvider> {
    use raw::identity_provider::{Introspection, Jwt};
    let jwt = option::of(any_text()).prop_map(|jwks_url| Jwt { jwks_url });
    let introspection = (option::of(any_text()), any_text(), any_text())
        .prop_map(|(url, client_id, client_secret)| Introspection { url, client_id, client_secret });
    (name(), any_text(), texts(), option::of(jwt), option::of(introspection)).prop_map(
        |(name, issuer, audiences, jwt, introspection)| raw::IdentityProvider {
            name,
            issuer,
            audiences,
            jwt,
            introspection,
            required_scopes: Vec::new(),
        },
    )
}

fn policy() -> impl Strategy<Value = raw::Policy> {
    let rule = (option::of(any_text()), option::of(any_text()), option::of(any_text()))
        .prop_map(|(allow, deny, reason)| raw::policy::Rule { allow, deny, reason });
    (name(), vec(rule, 0..3)).prop_map(|(name, rules)| raw::Policy { name, rules })
}

fn rate_limit() -> impl Strategy<Value = raw::RateLimit> {
    (name(), vec(0..=4i32, 0..3), any_text(), number(), option::of(0..=1i32), option::of(any_text()))
        .prop_map(|(name, by, rate, burst, scope, exempt)| raw::RateLimit { name, by, rate, burst, scope, exempt })
}

fn recording() -> impl Strategy<Value = raw::Recording> {
    use raw::recording::{Redact, Retention};
    let redact =
        (texts(), vec(0..=7i32, 0..3), texts()).prop_map(|(keys, values, paths)| Redact { keys, values, paths });
    let retention =
        (option::of(any_text()), option::of(any_text())).prop_map(|(keep, max_size)| Retention { keep, max_size });
    let how = (option::of(0..=2i32), number(), option::of(any_text()), option::of(0..=1i32), option::of(0..=1i32));
    (name(), how, option::of(redact), option::of(retention)).prop_map(|(name, how, redact, retention)| {
        let (capture, sample_percent, max_message, principals, on_overflow) = how;
        raw::Recording { name, capture, sample_percent, redact, retention, on_overflow, max_message, principals }
    })
}

/// Everything that a version may have.
pub(super) fn config() -> impl Strategy<Value = raw::Config> {
    let rule_set = (name(), option::of(any_text()), option::of(any_text()))
        .prop_map(|(name, file, source)| raw::RuleSet { name, file, source });
    let acted_on = (option::of(local()), vec(unacted_route(), 0..3), vec(unacted_upstream(), 0..2));
    let shared = (
        vec(identity_provider(), 0..2),
        vec(policy(), 0..2),
        vec(rate_limit(), 0..2),
        vec(rule_set, 0..2),
        vec(recording(), 0..2),
    );
    (acted_on, shared).prop_map(|((local, more_routes, more_upstreams), shared)| {
        let (mut routes, mut upstreams) = local.map(|local| (local.routes, local.upstreams)).unwrap_or_default();
        routes.extend(more_routes);
        upstreams.extend(more_upstreams);
        let (identity_providers, policies, rate_limits, rule_sets, recordings) = shared;
        raw::Config { routes, upstreams, identity_providers, policies, rate_limits, rule_sets, recordings }
    })
}

/// The configuration without resources whose name another of their kind has, as in every valid version.
pub(super) fn with_names_apart(mut raw: raw::Config) -> raw::Config {
    fn keep_first<R>(resources: &mut Vec<R>, name: impl Fn(&R) -> String) {
        let mut seen = HashSet::new();
        resources.retain(|resource| seen.insert(name(resource)));
    }
    keep_first(&mut raw.routes, |resource| resource.name.clone());
    keep_first(&mut raw.upstreams, |resource| resource.name.clone());
    keep_first(&mut raw.identity_providers, |resource| resource.name.clone());
    keep_first(&mut raw.policies, |resource| resource.name.clone());
    keep_first(&mut raw.rate_limits, |resource| resource.name.clone());
    keep_first(&mut raw.rule_sets, |resource| resource.name.clone());
    keep_first(&mut raw.recordings, |resource| resource.name.clone());
    raw
}

/// A small change to a version.
#[derive(Debug, Clone)]
pub(super) enum Change {
    MoveFirstRoute,
    DropFirstRoute,
    RenameFirstRoute,
    ClearFirstRoute,
    AddPolicy(raw::Policy),
    Nothing,
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let simple = sample::select(vec![
        Change::MoveFirstRoute,
        Change::DropFirstRoute,
        Change::RenameFirstRoute,
        Change::ClearFirstRoute,
        Change::Nothing,
    ]);
    prop_oneof![simple, policy().prop_map(Change::AddPolicy)]
}

impl Change {
    pub(super) fn apply(self, config: &mut raw::Config) {
        match self {
            Self::MoveFirstRoute if !config.routes.is_empty() => config.routes.rotate_left(1),
            Self::DropFirstRoute if !config.routes.is_empty() => drop(config.routes.remove(0)),
            Self::RenameFirstRoute => config.routes.iter_mut().take(1).for_each(|route| route.name.push('x')),
            Self::ClearFirstRoute => config.routes.iter_mut().take(1).for_each(|route| {
                *route = raw::Route { name: std::mem::take(&mut route.name), ..Default::default() };
            }),
            Self::AddPolicy(policy) => config.policies.push(policy),
            _ => {}
        }
    }
}
