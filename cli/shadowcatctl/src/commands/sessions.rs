//! `sessions`: what MCP clients have open.

use std::collections::HashSet;

use shadowcat_proto::admin::v1::{
    EndSessionsRequest, GetSessionRequest, ListSessionsRequest, ListSessionsResponse, Session,
};

use super::Desk;
use super::present::present;
use crate::Failure;
use crate::args::{SessionsCommand, Watch};
use crate::connect::Client;

/// Sessions that one call may bring.
const MAX_PAGE: u32 = 1000;

/// Pages that are asked for: ten times what the highest limit takes, and an end for a list that would have none.
const MAX_PAGES: usize = 1000;

pub(super) async fn run(desk: &Desk, command: SessionsCommand) -> Result<(), Failure> {
    match command {
        SessionsCommand::List { route, limit, watch } => list(desk, Wanted { route, limit }, watch).await,
        SessionsCommand::Show { session } => show(desk, session).await,
        SessionsCommand::Kill { sessions } => kill(desk, sessions).await,
    }
}

/// Which sessions are listed.
struct Wanted {
    route: String,
    limit: u32,
}

async fn list(desk: &Desk, wanted: Wanted, watch: Watch) -> Result<(), Failure> {
    let client = desk.client().await?;
    present(&desk.printer, &client, watch, async || pages(&client, &wanted).await).await
}

/// As many pages as the limit asks for, as one answer.
async fn pages(client: &Client, wanted: &Wanted) -> Result<ListSessionsResponse, Failure> {
    let mut all = ListSessionsResponse::default();
    let mut known = HashSet::new();
    for _ in 0..MAX_PAGES {
        let got = u32::try_from(all.sessions.len()).unwrap_or(u32::MAX);
        let request = ListSessionsRequest {
            fleet: client.fleet(),
            route: wanted.route.clone(),
            limit: wanted.limit.saturating_sub(got).min(MAX_PAGE),
            cursor: all.next,
        };
        let page = client.call("list the sessions", client.sessions().list(request)).await?;
        // Nodes that share a store name the same sessions, each on a page of its own.
        all.sessions.extend(page.sessions.into_iter().filter(|one| known.insert(id(one))));
        all.silent.extend(page.silent);
        all.next = page.next;
        if all.next.is_empty() || all.sessions.len() as u64 >= u64::from(wanted.limit) {
            break;
        }
    }
    // Each node that has any tells one at least, and so it may be more than was asked for.
    if all.sessions.len() > wanted.limit as usize {
        all.sessions.truncate(wanted.limit as usize);
        if all.next.is_empty() {
            "cut at the limit".clone_into(&mut all.next);
        }
    }
    all.silent.sort();
    all.silent.dedup();
    Ok(all)
}

fn id(session: &Session) -> String {
    session.session.as_ref().map_or_else(String::new, |session| session.id.clone())
}

async fn show(desk: &Desk, id: String) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = GetSessionRequest { fleet: client.fleet(), id };
    let answer = client.call("show the session", client.sessions().get(request)).await?;
    desk.printer.show(&answer, &desk.printer.page(&client.fleet(), client.server()))
}

async fn kill(desk: &Desk, ids: Vec<String>) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = EndSessionsRequest { fleet: client.fleet(), ids };
    let answer = client.call("end the sessions", client.sessions().end(request)).await?;
    desk.printer.show(&answer, &desk.printer.page(&client.fleet(), client.server()))
}
