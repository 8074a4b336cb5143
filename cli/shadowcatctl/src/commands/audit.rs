//! `audit`: the record of who changed what.

use shadowcat_proto::admin::v1::ListAuditRequest;

use super::Desk;
use super::present::present;
use crate::Failure;
use crate::args::AuditCommand;

pub(super) async fn run(desk: &Desk, AuditCommand::List { page, watch }: AuditCommand) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = ListAuditRequest { fleet: client.fleet(), limit: page.limit, before: page.before };
    present(&desk.printer, &client, watch, async || {
        client.call("list the audit records", client.fleets().list_audit(request.clone())).await
    })
    .await
}
