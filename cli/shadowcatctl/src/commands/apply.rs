//! `apply` and `plan`: from files to a version on every node, or to what that would change.

use shadowcat_config::FleetSource;
use shadowcat_proto::admin::v1::{ApplyRequest, PlanRequest, PlanResponse};

use super::commit::{self, Origin};
use super::{Desk, files};
use crate::Failure;
use crate::args::{ApplyArgs, CommitArgs, PlanArgs};
use crate::connect::Client;
use crate::failure::mistakes;

const APPLY: &str = "apply the configuration";
const PLAN: &str = "plan the configuration";

/// Checks here, then there, commits, and sees the version reach the nodes.
pub(super) async fn run(desk: &Desk, args: ApplyArgs) -> Result<(), Failure> {
    let source = files::read(&args.files.paths)?;
    let client = desk.client().await?;
    if args.dry_run {
        return dry_run(desk, &client, &source, args.commit.if_version).await;
    }
    let CommitArgs { message, if_version, no_wait } = args.commit;
    let request = ApplyRequest { fleet: client.fleet(), config: Some(source.config().clone()), message, if_version };
    let answer = client.try_call(client.configurations().apply(request)).await;
    let origin = Origin { what: APPLY, source: Some(&source), if_version };
    let applied = match answer {
        Ok(applied) => applied,
        Err(status) => return Err(commit::refused(&client, &origin, &status).await),
    };
    commit::finish(desk, &client, applied, no_wait.into()).await
}

/// Shows what `apply` would change.
pub(super) async fn plan(desk: &Desk, args: &PlanArgs) -> Result<(), Failure> {
    let source = files::read(&args.files.paths)?;
    let client = desk.client().await?;
    let planned = ask(&client, &source).await?;
    desk.printer.show(&planned, &desk.printer.page(&client.fleet(), client.server()))
}

async fn dry_run(desk: &Desk, client: &Client, source: &FleetSource, if_version: Option<u64>) -> Result<(), Failure> {
    let planned = ask(client, source).await?;
    if let Some(expected) = if_version {
        commit::expect_version(expected, planned.current.as_ref())?;
    }
    desk.printer.show(&planned, &desk.printer.page(&client.fleet(), client.server()))?;
    desk.printer.say("dry run: nothing was changed")
}

async fn ask(client: &Client, source: &FleetSource) -> Result<PlanResponse, Failure> {
    let request = PlanRequest { fleet: client.fleet(), config: Some(source.config().clone()) };
    client.try_call(client.configurations().plan(request)).await.map_err(|status| match mistakes(&status) {
        Some(found) => files::invalid_by_server(&found.errors, Some(source)),
        None => client.failure(PLAN, &status),
    })
}
