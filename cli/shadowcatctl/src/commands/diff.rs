//! `diff`: what changed between two versions.

use shadowcat_proto::admin::v1::DiffRequest;

use super::Desk;
use crate::Failure;
use crate::args::Versions;

pub(super) async fn run(desk: &Desk, Versions { from, to }: Versions) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = DiffRequest { fleet: client.fleet(), from, to };
    let answer = client.call("compare the versions", client.configurations().diff(request)).await?;
    desk.printer.show(&answer, &desk.printer.page(&client.fleet(), client.server()))
}
