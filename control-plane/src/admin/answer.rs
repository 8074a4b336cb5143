//! What is told of versions, nodes and times, as messages.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use pbjson_types::Timestamp;
use shadowcat_proto::admin::v1::{Node, Refusal, Version, node};
use shadowcat_proto::fleet::v1::{ConfigRef, hello};

use crate::fleet::hub::{epoch_of, is_elsewhere, reference};
use crate::fleet::live::from_lines;
use crate::fleet::{LiveFleet, LiveNode};
use crate::store;

/// A time.
pub(super) fn timestamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
    }
}

/// A version.
pub(super) fn version(epoch: &str, version: &store::Version) -> Version {
    Version {
        r#ref: Some(reference(epoch, version)),
        parent: version.parent,
        author: version.author.clone(),
        message: version.message.clone(),
        created_at: Some(timestamp(version.created_at)),
        routes: version.routes,
        upstreams: version.upstreams,
    }
}

/// A node: what is kept of it, and what it says now. One of the two is there.
pub(super) fn node(
    epoch: &str,
    fleet: Option<&LiveFleet>,
    kept: Option<&store::Node>,
    live: Option<&LiveNode>,
) -> Node {
    let mut told = kept.map_or_else(Node::default, |kept| of_kept(epoch, fleet, kept));
    if let Some(live) = live {
        add_live(&mut told, live);
    }
    told
}

fn of_kept(epoch: &str, fleet: Option<&LiveFleet>, kept: &store::Node) -> Node {
    let seen = &kept.seen;
    let epoch = epoch_of(epoch, &kept.fleet);
    let ours = |number: u64| ConfigRef { epoch: epoch.clone(), number, ..ConfigRef::default() };
    let elsewhere = is_elsewhere(fleet, kept);
    Node {
        name: kept.name.clone(),
        state: if elsewhere { node::State::Connected } else { node::State::Away }.into(),
        instance: seen.instance.clone(),
        build: seen.build.clone(),
        labels: BTreeMap::from_iter(seen.labels.iter().cloned()),
        version: (seen.version > 0).then(|| ours(seen.version)),
        refusal: seen
            .refusal
            .as_ref()
            .map(|(number, errors)| Refusal { r#ref: Some(ours(*number)), errors: from_lines(errors) }),
        last_seen: kept.last_seen.map(timestamp),
        joined_at: Some(timestamp(kept.joined_at)),
        certificate_expires_at: Some(timestamp(kept.certificate_expires_at)),
        ..Node::default()
    }
}

fn add_live(told: &mut Node, live: &LiveNode) {
    let state = live.state();
    let shown = match (state.ahead, state.draining) {
        (true, _) => node::State::Ahead,
        (false, true) => node::State::Draining,
        (false, false) => node::State::Connected,
    };
    told.name.clone_from(&live.name);
    told.set_state(shown);
    told.instance.clone_from(&live.instance);
    told.build.clone_from(&live.build);
    told.labels.clone_from(&live.labels);
    told.version.clone_from(&state.have);
    told.set_origin(if state.have.is_some() { state.origin } else { hello::Origin::None });
    if let Some((reference, errors)) = &state.refusal {
        told.refusal = Some(Refusal { r#ref: Some(reference.clone()), errors: errors.clone() });
    }
    told.last_seen = state.last_seen.map(timestamp);
    told.health = state.health;
    told.upstreams = state.upstreams.values().cloned().collect();
    told.address.clone_from(&live.address);
}
