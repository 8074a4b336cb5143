//! `routes`: the endpoints that clients see.

use shadowcat_proto::admin::v1::ListUpstreamsRequest;

use super::Desk;
use super::present::present;
use crate::Failure;
use crate::args::Watch;
use crate::view::Routes;

pub(super) async fn run(desk: &Desk, watch: Watch) -> Result<(), Failure> {
    let client = desk.client().await?;
    present(&desk.printer, &client, watch, async || {
        let request = ListUpstreamsRequest { fleet: client.fleet() };
        let answer = client.call("list the routes", client.upstreams().list(request)).await?;
        Ok(Routes { routes: answer.routes })
    })
    .await
}
