//! The endpoints that clients see.

use serde::Serialize;
use shadowcat_proto::admin::v1::Route;

use crate::output::{Cell, Page, Table, View, each};

/// The routes of the current version.
#[derive(Debug, Clone, Serialize)]
pub struct Routes {
    /// In the order in which they are tried.
    pub routes: Vec<Route>,
}

impl View for Routes {
    fn text(&self, page: &Page) -> String {
        let headings = ["NAME", "HOST", "PATH", "UPSTREAMS"];
        let mut table = Table::new(
            &headings,
            "no routes: the fleet has no version yet; make one with `shadowcatctl apply -f FILE`",
        );
        for route in &self.routes {
            let host = if route.host.is_empty() { "any" } else { &route.host };
            table.row([
                Cell::from(&route.name),
                host.into(),
                Cell::from(&route.path),
                route.upstreams.join(", ").into(),
            ]);
        }
        table.render(page.paint)
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.routes)
    }
}
