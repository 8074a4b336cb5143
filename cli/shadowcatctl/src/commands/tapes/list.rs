//! `tapes list` and `tapes stats`: what there is.

use shadowcat_proto::admin::v1::{ListTapesRequest, TapeSelection, TapeStatsRequest};

use super::super::Desk;
use super::super::present::present;
use crate::Failure;
use crate::args::{ListTapesArgs, Watch};

/// The call, for a person.
pub(super) const LIST: &str = "list the tapes";

pub(super) async fn run(desk: &Desk, args: ListTapesArgs) -> Result<(), Failure> {
    let client = desk.client().await?;
    present(&desk.printer, &client, args.watch, async || {
        let request = ListTapesRequest {
            fleet: client.fleet(),
            // Counted from each look: the last hour is another one a minute later.
            selection: Some(args.place.narrow(args.span.narrow(TapeSelection::default()))),
            limit: args.part.limit,
            cursor: args.part.cursor.clone(),
        };
        Box::pin(client.call(LIST, client.tapes().list(request))).await
    })
    .await
}

pub(super) async fn stats(desk: &Desk, watch: Watch) -> Result<(), Failure> {
    let client = desk.client().await?;
    present(&desk.printer, &client, watch, async || {
        let request = TapeStatsRequest { fleet: client.fleet() };
        Box::pin(client.call("count the tapes", client.tapes().stats(request))).await
    })
    .await
}
