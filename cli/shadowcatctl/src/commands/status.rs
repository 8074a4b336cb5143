//! `status`: the fleet at a glance.

use shadowcat_proto::admin::v1::StatusRequest;

use super::Desk;
use super::present::present;
use crate::Failure;
use crate::args::Watch;

pub(super) async fn run(desk: &Desk, watch: Watch) -> Result<(), Failure> {
    let client = desk.client().await?;
    present(&desk.printer, &client, watch, async || {
        let request = StatusRequest { fleet: client.fleet() };
        client.call("show the status", client.fleets().status(request)).await
    })
    .await
}
