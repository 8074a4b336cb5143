//! `upstreams`: the MCP servers behind the routes, as the nodes see them.

use shadowcat_proto::admin::v1::{GetUpstreamRequest, ListUpstreamsRequest};

use super::Desk;
use super::present::present;
use crate::Failure;
use crate::args::{UpstreamsCommand, Watch};
use crate::view::Upstreams;

pub(super) async fn run(desk: &Desk, command: UpstreamsCommand) -> Result<(), Failure> {
    match command {
        UpstreamsCommand::List(watch) => list(desk, watch).await,
        UpstreamsCommand::Show { upstream, watch } => show(desk, upstream, watch).await,
    }
}

async fn list(desk: &Desk, watch: Watch) -> Result<(), Failure> {
    let client = desk.client().await?;
    present(&desk.printer, &client, watch, async || {
        let request = ListUpstreamsRequest { fleet: client.fleet() };
        let answer = client.call("list the upstreams", client.upstreams().list(request)).await?;
        Ok(Upstreams { upstreams: answer.upstreams })
    })
    .await
}

async fn show(desk: &Desk, name: String, watch: Watch) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = GetUpstreamRequest { fleet: client.fleet(), name };
    present(&desk.printer, &client, watch, async || {
        client.call("show the upstream", client.upstreams().get(request.clone())).await
    })
    .await
}
