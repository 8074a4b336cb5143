//! The fleet's data planes.

use std::collections::BTreeMap;

use shadowcat_proto::admin::v1::node::State;
use shadowcat_proto::admin::v1::{CreateJoinTokenResponse, ListNodesResponse, Node};
use shadowcat_proto::fleet::v1::hello::Origin;
use shadowcat_proto::fleet::v1::{NodeHealth, UpstreamHealth};

use super::mistake;
use crate::output::{Cell, Facts, Page, Table, Tone, View, age, clean, each, in_future};

const MEBIBYTE: u64 = 1024 * 1024;

impl View for ListNodesResponse {
    fn text(&self, page: &Page) -> String {
        let headings =
            ["NAME", "STATE", "VERSION", "FROM", "SEEN", "REQUESTS", "FAILED", "SESSIONS", "BUILD", "LABELS"];
        let mut table =
            Table::new(&headings, "no node yet: one joins with the token that `shadowcatctl nodes token` makes");
        for node in &self.nodes {
            let health = |value: fn(&NodeHealth) -> u64| Cell::from(counted(node, value));
            table.row([
                Cell::from(&node.name),
                state(node),
                version(node),
                origin(node).into(),
                age(node.last_seen.as_ref(), page.now).into(),
                health(|health| health.requests),
                health(|health| health.failed),
                health(|health| health.sessions),
                Cell::from(&node.build),
                labels(&node.labels).into(),
            ]);
        }
        table.render(page.paint)
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.nodes)
    }
}

impl View for Node {
    fn text(&self, page: &Page) -> String {
        let mut facts = Facts::new()
            .fact("name", &self.name)
            .fact("state", state(self))
            .fact("version", version(self))
            .fact("from", origin(self))
            .fact("build", &self.build)
            .fact("address", &self.address)
            .fact("instance", &self.instance)
            .fact("labels", labels(&self.labels))
            .fact("seen", ago(&age(self.last_seen.as_ref(), page.now)))
            .fact("joined", ago(&age(self.joined_at.as_ref(), page.now)))
            .fact("certificate", format!("{} left", in_future(self.certificate_expires_at.as_ref(), page.now)));
        if let Some(health) = &self.health {
            facts = facts
                .fact("requests", format!("{}, {} failed", health.requests, health.failed))
                .fact("sessions", health.sessions)
                .fact("streams", health.streams)
                .fact("memory", format!("{} MiB", health.memory_bytes / MEBIBYTE))
                .fact("versions live", health.versions_live);
        }
        for error in self.refusal.iter().flat_map(|refusal| &refusal.errors) {
            facts.push("refused", Cell::toned(Tone::Bad, &mistake(error)));
        }
        let mut text = facts.render(page.paint);
        if !self.upstreams.is_empty() {
            text.push('\n');
            text.push_str(&upstreams(&self.upstreams, page));
        }
        text
    }
}

fn upstreams(upstreams: &[UpstreamHealth], page: &Page) -> String {
    let mut table = Table::new(&["UPSTREAM", "REACHABLE", "IN FLIGHT", "CHILDREN", "LAST ERROR"], "");
    for health in upstreams {
        table.row([
            Cell::from(&health.upstream),
            reachable(health.reachable),
            health.in_flight.into(),
            health.children.into(),
            Cell::from(&health.last_error),
        ]);
    }
    table.render(page.paint)
}

impl View for CreateJoinTokenResponse {
    fn text(&self, page: &Page) -> String {
        format!(
            "{}\n\ngood for {}; it is shown this once. On the new node:\n  shadowcat-data-plane --control-plane {} --join-token TOKEN\n",
            clean(&self.token),
            in_future(self.expires_at.as_ref(), page.now),
            page.server
        )
    }
}

/// `yes` or `no`, so that the eye finds the one that is not well.
#[expect(clippy::fn_params_excessive_bools, reason = "the field is a bool, and this is what it looks like")]
pub(super) fn reachable(reachable: bool) -> Cell {
    if reachable { Cell::toned(Tone::Good, "yes") } else { Cell::toned(Tone::Bad, "no") }
}

fn state(node: &Node) -> Cell {
    match node.state() {
        State::Connected => Cell::toned(Tone::Good, "connected"),
        State::Away => Cell::toned(Tone::Bad, "away"),
        State::Draining => Cell::toned(Tone::Warning, "draining"),
        State::Ahead => Cell::toned(Tone::Bad, "ahead"),
        State::Unknown => Cell::toned(Tone::Warning, "unknown"),
    }
}

fn version(node: &Node) -> Cell {
    let runs = node.version.as_ref().map_or_else(|| "none".to_owned(), |config| config.number.to_string());
    match node.refusal.as_ref().and_then(|refusal| refusal.r#ref.as_ref()) {
        Some(refused) => Cell::toned(Tone::Bad, &format!("{runs} (refused {})", refused.number)),
        None => runs.into(),
    }
}

fn origin(node: &Node) -> &'static str {
    match node.origin() {
        Origin::None => "-",
        Origin::Disk => "disk",
        Origin::Seed => "seed",
        Origin::Stream => "stream",
    }
}

fn counted(node: &Node, value: fn(&NodeHealth) -> u64) -> String {
    node.health.as_ref().map_or_else(String::new, |health| value(health).to_string())
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

fn ago(age: &str) -> String {
    if age == "-" { "never".to_owned() } else { format!("{age} ago") }
}
