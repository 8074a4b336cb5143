//! `nodes`: the fleet's data planes.

use shadowcat_proto::admin::v1::{
    CreateJoinTokenRequest, DrainNodeRequest, GetNodeRequest, ListNodesRequest, RemoveNodeRequest,
};

use super::Desk;
use super::present::present;
use crate::Failure;
use crate::args::{NodesCommand, TokenArgs, Watch};
use crate::view::Said;

pub(super) async fn run(desk: &Desk, command: NodesCommand) -> Result<(), Failure> {
    match command {
        NodesCommand::List(watch) => list(desk, watch).await,
        NodesCommand::Show { node, watch } => show(desk, node, watch).await,
        NodesCommand::Drain { node } => drain(desk, node).await,
        NodesCommand::Remove { node } => remove(desk, node).await,
        NodesCommand::Token(args) => token(desk, &args).await,
    }
}

async fn list(desk: &Desk, watch: Watch) -> Result<(), Failure> {
    let client = desk.client().await?;
    present(&desk.printer, &client, watch, async || {
        let request = ListNodesRequest { fleet: client.fleet() };
        client.call("list the nodes", client.nodes().list(request)).await
    })
    .await
}

async fn show(desk: &Desk, node: String, watch: Watch) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = GetNodeRequest { fleet: client.fleet(), node };
    present(&desk.printer, &client, watch, async || {
        client.call("show the node", client.nodes().get(request.clone())).await
    })
    .await
}

async fn drain(desk: &Desk, node: String) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = DrainNodeRequest { fleet: client.fleet(), node: node.clone() };
    let answer = client.call("drain the node", client.nodes().drain(request)).await?;
    let sentence = format!("{node} drains, and stops within {} s", answer.grace_ms.div_ceil(1000));
    desk.printer.show(&Said { answer, sentence }, &desk.printer.page(&client.fleet(), client.server()))
}

async fn remove(desk: &Desk, node: String) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = RemoveNodeRequest { fleet: client.fleet(), node: node.clone() };
    let answer = client.call("remove the node", client.nodes().remove(request)).await?;
    let sentence =
        format!("{node} is removed, and its certificate refused; what runs there serves on until it is stopped");
    desk.printer.show(&Said { answer, sentence }, &desk.printer.page(&client.fleet(), client.server()))
}

async fn token(desk: &Desk, args: &TokenArgs) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = CreateJoinTokenRequest { fleet: client.fleet(), good_for_s: args.good_for, uses: args.uses };
    let answer = client.call("make a join token", client.nodes().create_join_token(request)).await?;
    desk.printer.show(&answer, &desk.printer.page(&client.fleet(), client.server()))
}
