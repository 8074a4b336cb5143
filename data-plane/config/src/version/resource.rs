//! The kinds of resources that a configuration has.

use serde::Serialize;
use shadowcat_proto::config::v1 as raw;

use super::ResourceKey;

/// A message of which a configuration has a list, each with a name of its own.
pub(crate) trait Resource: prost::Message + Serialize + PartialEq {
    /// The name of the list.
    const KIND: &'static str;

    /// The list.
    fn all(raw: &raw::Config) -> &[Self]
    where
        Self: Sized;

    fn name(&self) -> &str;

    fn key(&self) -> ResourceKey {
        ResourceKey { kind: Self::KIND, name: self.name().to_owned() }
    }
}

macro_rules! kinds {
    ($($list:ident: $message:ident,)*) => {
        $(impl Resource for raw::$message {
            const KIND: &'static str = stringify!($list);

            fn all(raw: &raw::Config) -> &[Self] {
                &raw.$list
            }

            fn name(&self) -> &str {
                &self.name
            }
        })*
    };
}

kinds! {
    routes: Route,
    upstreams: Upstream,
    identity_providers: IdentityProvider,
    policies: Policy,
    rate_limits: RateLimit,
    rule_sets: RuleSet,
    recordings: Recording,
}
