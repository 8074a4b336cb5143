//! The settings of one process.

use std::path::PathBuf;

use shadowcat_proto::config::v1 as raw;

use super::scope::{Scope, optional};
use crate::defaults::{DEFAULT_SPOOL_SIZE, MIN_SPOOL_SIZE, SPOOL_AGE};
use crate::{Node, RedisUrl, Spool, Tls};

pub(crate) fn node(raw: Option<&raw::Node>, scope: &Scope<'_>) -> Option<Node> {
    let Some(raw) = raw else {
        return Some(Node::default());
    };
    let spool = raw.spool.as_ref().map_or_else(Spool::default, |raw| spool(raw, &scope.field("spool")));
    let bind = optional(raw.bind.as_deref(), |text| {
        let address = text.parse().ok();
        if address.is_none() {
            scope.field("bind").error(
                format!("{text:?} is not an address and port"),
                "as in 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080",
            );
        }
        address
    });
    let tls = optional(raw.tls.as_ref(), |raw| tls(raw, &scope.field("tls")));
    let redis = optional(raw.redis.as_deref(), |text| {
        let url: Option<RedisUrl> = text.parse().ok();
        if url.is_none() {
            scope.field("redis").error("not a Redis URL", "as in redis://127.0.0.1:6379/0, or rediss:// for TLS");
        }
        url
    });
    Some(Node { bind: bind?, tls: tls?, redis: redis?, spool })
}

fn spool(raw: &raw::node::Spool, scope: &Scope<'_>) -> Spool {
    let max_size = scope.size("max_size", raw.max_size.as_deref()).unwrap_or(DEFAULT_SPOOL_SIZE);
    if max_size < MIN_SPOOL_SIZE {
        scope.field("max_size").error("a spool that small would lose what it takes in at once", "at least 8Mi");
    }
    Spool { max_size, max_age: scope.duration("max_age", raw.max_age.as_deref(), &SPOOL_AGE) }
}

fn tls(raw: &raw::node::Tls, scope: &Scope<'_>) -> Option<Tls> {
    if raw.certificate.is_empty() {
        scope.missing("certificate", "a PEM file with the certificate and its chain");
    }
    if raw.key.is_empty() {
        scope.missing("key", "a PEM file with the private key");
    }
    let complete = !raw.certificate.is_empty() && !raw.key.is_empty();
    complete.then(|| Tls { certificate: PathBuf::from(&raw.certificate), key: PathBuf::from(&raw.key) })
}
