//! `rollback`: an earlier version's content as the next version. Numbers only go up.

use shadowcat_proto::admin::v1::RollbackRequest;

use super::Desk;
use super::commit::{self, Origin};
use crate::Failure;
use crate::args::{CommitArgs, RollbackArgs};

const ROLL_BACK: &str = "roll back";

pub(super) async fn run(desk: &Desk, args: RollbackArgs) -> Result<(), Failure> {
    let client = desk.client().await?;
    let CommitArgs { message, if_version, no_wait } = args.commit;
    let request = RollbackRequest { fleet: client.fleet(), number: args.number, message, if_version };
    match client.try_call(client.configurations().rollback(request)).await {
        Ok(applied) => commit::finish(desk, &client, applied, no_wait.into()).await,
        Err(status) => {
            let origin = Origin { what: ROLL_BACK, source: None, if_version };
            Err(commit::refused(&client, &origin, &status).await)
        }
    }
}
