//! `tapes delete`, `hold` and `release`: how long what was recorded is kept.

use std::io::IsTerminal;

use shadowcat_proto::admin::v1::{DeleteTapesRequest, DeleteTapesResponse, HoldTapesRequest, TapeSelection};

use super::super::Desk;
use super::super::line::ask;
use crate::Failure;
use crate::args::{DeleteArgs, HoldArgs, ReleaseArgs};
use crate::connect::Client;
use crate::output::{bytes, clean, count};
use crate::view::Said;

pub(super) async fn delete(desk: &Desk, args: DeleteArgs) -> Result<(), Failure> {
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if args.tapes.is_empty() && args.span.until.is_none() {
        return Err(Failure::usage(
            "say what is deleted: tapes by their ids, or all --until some time, as in --until 30d",
        ));
    }
    if !args.dry_run && !args.yes && !asks {
        return Err(Failure::usage("it is deleted for good: look with --dry-run, and say so with --yes"));
    }
    let client = desk.client().await?;
    let ids = TapeSelection { ids: args.tapes, ..TapeSelection::default() };
    // Made once: what is deleted is what was asked about, however long the answer took.
    let selection = args.place.narrow(args.span.narrow(ids.clone()));
    let absent = absent(&ids, &selection);
    let request = DeleteTapesRequest { fleet: client.fleet(), selection: Some(selection), dry_run: args.dry_run };
    if !args.dry_run && !args.yes {
        let answer = run(&client, DeleteTapesRequest { dry_run: true, ..request.clone() }).await?;
        found(&answer, absent.as_ref())?;
        if !ask(&format!("{}; delete it for good?", would_go(&answer))).await {
            return Err(Failure::failed("nothing was deleted"));
        }
    }
    let answer = run(&client, request).await?;
    found(&answer, absent.as_ref())?;
    let sentence = if args.dry_run { would_go(&answer) } else { gone(&answer) };
    desk.printer.show(&Said { answer, sentence }, &desk.printer.page(&client.fleet(), client.server()))
}

async fn run(client: &Client, request: DeleteTapesRequest) -> Result<DeleteTapesResponse, Failure> {
    Box::pin(client.call("delete the tapes", client.tapes().delete(request))).await
}

/// What is said if nothing fits ids that were named; nothing where none was.
fn absent(ids: &TapeSelection, selection: &TapeSelection) -> Option<String> {
    let named = named(&ids.ids);
    let what = match ids.ids.as_slice() {
        [] => return None,
        _ if ids != selection => format!("nothing is recorded under {named} that fits the other flags"),
        [_] => format!("no tape or call has the id {named}"),
        _ => format!("no tape or call has any of the ids {named}"),
    };
    Some(format!("{what}: nothing was deleted; see `shadowcatctl tapes list`"))
}

/// Whether anything that was named is there; what is on hold is.
fn found(answer: &DeleteTapesResponse, absent: Option<&String>) -> Result<(), Failure> {
    match absent {
        Some(absent) if answer.frames == 0 && answer.held.is_empty() => Err(Failure::failed(absent)),
        _ => Ok(()),
    }
}

fn would_go(answer: &DeleteTapesResponse) -> String {
    format!("{} of {} would be deleted{}", count(answer.frames, "frame"), bytes(answer.bytes), held(answer))
}

fn gone(answer: &DeleteTapesResponse) -> String {
    format!("{} of {} deleted{}", count(answer.frames, "frame"), bytes(answer.bytes), held(answer))
}

fn held(answer: &DeleteTapesResponse) -> String {
    match answer.held.as_slice() {
        [] => String::new(),
        some => format!("; on hold, and kept: {}", named(some)),
    }
}

pub(super) async fn hold(desk: &Desk, args: HoldArgs) -> Result<(), Failure> {
    let request = HoldTapesRequest { tapes: args.tapes, reason: args.reason, ..HoldTapesRequest::default() };
    change(desk, request, "held").await
}

pub(super) async fn release(desk: &Desk, args: ReleaseArgs) -> Result<(), Failure> {
    let request = HoldTapesRequest { tapes: args.tapes, release: true, ..HoldTapesRequest::default() };
    change(desk, request, "released").await
}

/// Holds or releases, and says which of the tapes were so before.
async fn change(desk: &Desk, request: HoldTapesRequest, done: &str) -> Result<(), Failure> {
    let client = desk.client().await?;
    let asked = request.tapes.clone();
    let request = HoldTapesRequest { fleet: client.fleet(), ..request };
    let answer = Box::pin(client.call("change what is held", client.tapes().hold(request))).await?;
    let before: Vec<String> = asked.into_iter().filter(|tape| !answer.changed.contains(tape)).collect();
    let told = [(done.to_owned(), answer.changed.as_slice()), (format!("{done} before already"), before.as_slice())];
    let told = told.iter().filter(|(_, tapes)| !tapes.is_empty());
    let sentence = told.map(|(what, tapes)| format!("{what}: {}", named(tapes))).collect::<Vec<_>>().join("; ");
    desk.printer.show(&Said { answer, sentence }, &desk.printer.page(&client.fleet(), client.server()))
}

fn named(tapes: &[String]) -> String {
    tapes.iter().map(|tape| clean(tape)).collect::<Vec<_>>().join(", ")
}
