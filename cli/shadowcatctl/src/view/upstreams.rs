//! The MCP servers behind the routes, as the nodes see them.

use serde::Serialize;
use shadowcat_proto::admin::v1::Upstream;
use shadowcat_proto::fleet::v1::UpstreamHealth;

use super::nodes::reachable;
use crate::output::{Cell, Facts, Page, Table, Tone, View, each};

/// The upstreams of the current version.
#[derive(Debug, Clone, Serialize)]
pub struct Upstreams {
    /// In the order of the configuration.
    pub upstreams: Vec<Upstream>,
}

impl View for Upstreams {
    fn text(&self, page: &Page) -> String {
        let headings = ["NAME", "REACHABLE", "IN FLIGHT", "ROUTES", "ADDRESS", "LAST ERROR"];
        let mut table = Table::new(
            &headings,
            "no upstreams: the fleet has no version yet; make one with `shadowcatctl apply -f FILE`",
        );
        for upstream in &self.upstreams {
            let in_flight: u64 = healths(upstream).map(|health| u64::from(health.in_flight)).sum();
            let error =
                healths(upstream).filter(|health| !health.reachable).find(|health| !health.last_error.is_empty());
            table.row([
                Cell::from(&upstream.name),
                reached(upstream),
                in_flight.into(),
                upstream.routes.join(", ").into(),
                Cell::from(&upstream.address),
                error.map_or("", |health| health.last_error.as_str()).into(),
            ]);
        }
        table.render(page.paint)
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.upstreams)
    }
}

impl View for Upstream {
    fn text(&self, page: &Page) -> String {
        let facts = Facts::new()
            .fact("name", &self.name)
            .fact("address", &self.address)
            .fact("routes", self.routes.join(", "))
            .fact("reachable", reached(self));
        let mut table = Table::new(
            &["NODE", "REACHABLE", "IN FLIGHT", "CHILDREN", "LAST ERROR"],
            "no node has said anything of it yet",
        );
        for on in &self.nodes {
            let health = on.health.clone().unwrap_or_default();
            table.row([
                Cell::from(&on.node),
                reachable(health.reachable),
                health.in_flight.into(),
                health.children.into(),
                Cell::from(&health.last_error),
            ]);
        }
        format!("{}\n{}", facts.render(page.paint), table.render(page.paint))
    }
}

fn healths(upstream: &Upstream) -> impl Iterator<Item = &UpstreamHealth> {
    upstream.nodes.iter().filter_map(|on| on.health.as_ref())
}

/// Of how many nodes it is reachable: `2/3`.
fn reached(upstream: &Upstream) -> Cell {
    let (good, all) = (healths(upstream).filter(|health| health.reachable).count(), healths(upstream).count());
    let tone = match (good, all) {
        (_, 0) => return Cell::from(""),
        (good, all) if good == all => Tone::Good,
        (0, _) => Tone::Bad,
        _ => Tone::Warning,
    };
    Cell::toned(tone, &format!("{good}/{all}"))
}
