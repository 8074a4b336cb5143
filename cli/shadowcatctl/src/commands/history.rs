//! `history`: versions, newest first.

use shadowcat_proto::admin::v1::HistoryRequest;

use super::Desk;
use super::present::present;
use crate::Failure;
use crate::args::HistoryArgs;

pub(super) async fn run(desk: &Desk, args: &HistoryArgs) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = HistoryRequest { fleet: client.fleet(), limit: args.page.limit, before: args.page.before };
    present(&desk.printer, &client, args.watch, async || {
        client.call("list the versions", client.configurations().history(request.clone())).await
    })
    .await
}
