//! The fleet at a glance.

use shadowcat_proto::admin::v1::{StatusResponse, TrafficRow};

use super::rejection;
use super::traffic::{name, sentence as rates};
use super::versions::sentence;
use crate::output::{Cell, Facts, Page, Tone, View, age, clean, count};

impl View for StatusResponse {
    fn text(&self, page: &Page) -> String {
        let current = self.current.as_ref().map_or_else(
            || Cell::toned(Tone::Warning, "none yet: make one with `shadowcatctl apply -f FILE`"),
            |version| sentence(version, page).into(),
        );
        let mut facts = Facts::new()
            .fact("control plane", format!("{} at {}", self.build, page.server))
            .fact("fleet", &page.fleet)
            .fact("current", current)
            .fact("nodes", nodes(self));
        if let Some(total) = &self.traffic {
            facts.push("traffic", calls(total));
        }
        if self.stale_since.is_some() {
            let since = age(self.stale_since.as_ref(), page.now);
            let text = format!("does not answer since {since}: what is shown is as old, and nothing can be changed");
            facts.push("database", Cell::toned(Tone::Bad, &text));
        }
        for line in self.rejections.iter().flat_map(rejection) {
            facts.push("rejected by", Cell::toned(Tone::Bad, &line));
        }
        for upstream in &self.unreachable {
            for on in upstream.nodes.iter().filter(|on| on.health.as_ref().is_none_or(|health| !health.reachable)) {
                let why = on.health.as_ref().map_or("", |health| health.last_error.as_str());
                let why = if why.is_empty() { "not reachable" } else { why };
                let text = format!("{} from {}: {why}", clean(&upstream.name), clean(&on.node));
                facts.push("unreachable", Cell::toned(Tone::Bad, &text));
            }
        }
        for row in &self.failing {
            let text = format!("{}: {} of {} in the last minute", name(row), row.errors, count(row.calls, "call"));
            facts.push("failing", Cell::toned(Tone::Warning, &text));
        }
        facts.render(page.paint)
    }
}

/// What calls came to of late.
fn calls(total: &TrafficRow) -> Cell {
    if total.calls == 0 {
        "no calls in the last minute".into()
    } else {
        format!("{} in the last minute", rates(total)).into()
    }
}

/// `3 connected, 1 away; 3 run the current version`.
fn nodes(status: &StatusResponse) -> Cell {
    let StatusResponse { connected, away, current_nodes, .. } = *status;
    let mut text = format!("{connected} connected");
    if away > 0 {
        text.push_str(&format!(", {away} away"));
    }
    if status.current.is_some() {
        text.push_str(&format!("; {current_nodes} on the current version"));
    }
    let well = away == 0 && current_nodes >= connected;
    Cell::toned(if well { Tone::Good } else { Tone::Warning }, &text)
}
