//! The settings of one process.

use std::path::PathBuf;

use shadowcat_proto::config::v1 as raw;

use super::scope::{Scope, optional};
use crate::{Node, RedisUrl, Tls};

pub(crate) fn node(raw: Option<&raw::Node>, scope: &Scope<'_>) -> Option<Node> {
    let Some(raw) = raw else {
        return Some(Node::default());
    };
    scope.not_yet_fields([("spool", raw.spool.is_some(), "recording traffic to a spool")]);
    if let Some(spool) = &raw.spool {
        let scope = scope.field("spool");
        scope.size("max_size", spool.max_size.as_deref());
        scope.duration_form("max_age", spool.max_age.as_deref());
    }
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
    Some(Node { bind: bind?, tls: tls?, redis: redis? })
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
