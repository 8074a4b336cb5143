//! Sessions of MCP clients.

use shadowcat_proto::admin::v1::{EndSessionsResponse, ListSessionsResponse, Session};

use super::silent;
use crate::output::{Cell, Facts, Page, Table, View, count, duration, each};

const SECOND_MILLISECONDS: u64 = 1000;

impl View for ListSessionsResponse {
    fn text(&self, page: &Page) -> String {
        let headings = ["SESSION", "ROUTE", "UPSTREAM", "NODE", "PROTOCOL", "AGE", "PRINCIPAL"];
        let mut table = Table::new(&headings, "no sessions");
        for Session { session, node } in &self.sessions {
            let session = session.clone().unwrap_or_default();
            table.row([
                Cell::from(&session.id),
                Cell::from(&session.route),
                Cell::from(&session.upstream),
                Cell::from(node),
                Cell::from(&session.protocol_version),
                duration(session.age_ms / SECOND_MILLISECONDS).into(),
                Cell::from(&session.principal),
            ]);
        }
        let more = if self.next.is_empty() { "" } else { "there are more: raise --limit\n" };
        format!("{}{more}{}", table.render(page.paint), silent(&self.silent, "their sessions may be missing"))
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.sessions)
    }
}

impl View for Session {
    fn text(&self, page: &Page) -> String {
        let session = self.session.clone().unwrap_or_default();
        Facts::new()
            .fact("session", &session.id)
            .fact("route", &session.route)
            .fact("upstream", &session.upstream)
            .fact("node", &self.node)
            .fact("principal", &session.principal)
            .fact("protocol", &session.protocol_version)
            .fact("age", duration(session.age_ms / SECOND_MILLISECONDS))
            .fact("idle timeout", duration(session.idle_timeout_ms / SECOND_MILLISECONDS))
            .fact("bound to", if session.owner.is_empty() { "any node" } else { &session.owner })
            .render(page.paint)
    }
}

impl View for EndSessionsResponse {
    fn text(&self, _: &Page) -> String {
        let ended = count(self.count.into(), "session");
        format!("{ended} ended\n{}", silent(&self.silent, "what lives there alone may live on"))
    }
}
