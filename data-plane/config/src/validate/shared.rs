//! What routes share: identity providers, policies, rate limits and rule sets. Nothing acts on them yet, so each list is
//! refused; what they say is checked all the same, so that it is told at once.

use shadowcat_proto::config::v1 as raw;

use super::fleet::Parts;
use super::names::Names;
use super::scope::Scope;
use crate::limits::{MAX_REFERENCES, MAX_SHARED};

/// Their names, for the routes that refer to them.
#[derive(Default)]
pub(crate) struct Shared<'r> {
    identity_providers: Names<'r>,
    policies: Names<'r>,
    rate_limits: Names<'r>,
    rule_sets: Names<'r>,
}

impl<'r> Shared<'r> {
    pub(crate) fn check(raw: &Parts<'r>, top: &Scope<'_>) -> Self {
        top.not_yet_fields([
            ("identity_providers", !raw.identity_providers.is_empty(), "identity providers"),
            ("policies", !raw.policies.is_empty(), "policies"),
            ("rate_limits", !raw.rate_limits.is_empty(), "rate limits"),
            ("rule_sets", !raw.rule_sets.is_empty(), "interception rules"),
        ]);
        let mut shared = Self::default();
        each(raw.identity_providers, &top.field("identity_providers"), |raw, scope| {
            shared.identity_providers.check(&raw.name, scope);
            identity_provider(raw, scope);
        });
        each(raw.policies, &top.field("policies"), |raw, scope| {
            shared.policies.check(&raw.name, scope);
            policy(raw, scope);
        });
        each(raw.rate_limits, &top.field("rate_limits"), |raw, scope| {
            shared.rate_limits.check(&raw.name, scope);
            scope.rate("rate", &raw.rate);
        });
        each(raw.rule_sets, &top.field("rule_sets"), |raw, scope| {
            shared.rule_sets.check(&raw.name, scope);
            rule_set(raw, scope);
        });
        shared
    }

    /// What a route has of them: refused, and resolved.
    pub(crate) fn check_route(&self, raw: &raw::Route, scope: &Scope<'_>) {
        scope.not_yet_fields([
            ("authentication", raw.authentication.is_some(), "authentication"),
            ("policies", !raw.policies.is_empty(), "policies"),
            ("rate_limits", !raw.rate_limits.is_empty(), "rate limits"),
            ("rule_sets", !raw.rule_sets.is_empty(), "interception rules"),
        ]);
        if let Some(authentication) = &raw.authentication {
            let scope = scope.field("authentication");
            references(
                &authentication.providers,
                &self.identity_providers,
                "identity provider",
                &scope.field("providers"),
            );
        }
        references(&raw.policies, &self.policies, "policy", &scope.field("policies"));
        references(&raw.rate_limits, &self.rate_limits, "rate limit", &scope.field("rate_limits"));
        references(&raw.rule_sets, &self.rule_sets, "rule set", &scope.field("rule_sets"));
    }
}

fn each<'r, R>(raw: &'r [R], scope: &Scope<'_>, mut check: impl FnMut(&'r R, &Scope<'_>)) {
    if scope.within(raw.len(), MAX_SHARED) {
        for (index, raw) in raw.iter().enumerate() {
            check(raw, &scope.item(index));
        }
    }
}

fn references(raw: &[String], names: &Names<'_>, kind: &str, scope: &Scope<'_>) {
    if scope.within(raw.len(), MAX_REFERENCES) {
        for (index, name) in raw.iter().enumerate() {
            names.resolve(name, kind, &scope.item(index));
        }
    }
}

fn identity_provider(raw: &raw::IdentityProvider, scope: &Scope<'_>) {
    match (&raw.jwt, &raw.introspection) {
        (Some(_), Some(_)) => scope.error("jwt and introspection are both set", "keep one of the two"),
        (None, None) => scope.missing("jwt or introspection", "write jwt: {} for tokens that are signed"),
        _ => {}
    }
}

fn policy(raw: &raw::Policy, scope: &Scope<'_>) {
    each(&raw.rules, &scope.field("rules"), |rule, scope| match (&rule.allow, &rule.deny) {
        (Some(_), Some(_)) => scope.error("allow and deny are both set", "keep one of the two"),
        (None, None) => scope.missing("allow or deny", "write allow: EXPRESSION, or deny: EXPRESSION"),
        _ => {}
    });
}

fn rule_set(raw: &raw::RuleSet, scope: &Scope<'_>) {
    match (&raw.file, &raw.source) {
        (Some(_), Some(_)) => scope.error("file and source are both set", "keep one of the two"),
        (None, None) => scope.missing("source", "write the rules as source: TEXT"),
        _ => {}
    }
}
