//! `tapes tail`: calls as they end, or frames as they pass.
//!
//! It ends when it is interrupted and when nobody reads its output any more, both of which are what was wanted.

use std::os::fd::AsFd;

use shadowcat_proto::admin::v1::search_tapes_request::What;
use shadowcat_proto::admin::v1::tail_tapes_response::Kind;
use shadowcat_proto::admin::v1::{TailTapesRequest, TailTapesResponse, TailedNodes, TapeRecord, TapeSelection};
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;
use tonic::{Status, Streaming};

use super::super::Desk;
use super::super::interrupt::Interrupt;
use super::super::line::note;
use crate::Failure;
use crate::args::TailArgs;
use crate::connect::Client;
use crate::output::{Format, count};
use crate::view::{Columns, FrameRows, Recorded};

/// The call, for a person.
const FOLLOW: &str = "follow the tapes";

pub(super) async fn run(desk: &Desk, args: &TailArgs) -> Result<(), Failure> {
    let mut interrupt = Interrupt::listen();
    let client = desk.client().await?;
    let selection = args.what.narrow(args.place.narrow(TapeSelection::default()));
    let mut request =
        TailTapesRequest { fleet: client.fleet(), selection: Some(selection), ..TailTapesRequest::default() };
    request.set_what(if args.frames { What::Frames } else { What::Calls });
    let stream = Box::pin(client.call(FOLLOW, client.tapes().tail(request))).await?;
    tokio::select! {
        ended = follow(desk, &client, stream) => ended,
        () = interrupt.comes() => Ok(()),
        () = nobody_reads() => Ok(()),
    }
}

async fn follow(desk: &Desk, client: &Client, mut stream: Streaming<TailTapesResponse>) -> Result<(), Failure> {
    let mut rows = FrameRows::new(Columns::Followed);
    loop {
        // No limit in time: nothing may happen for days. A server that vanished is noticed by the connection.
        let told = stream.message().await.map_err(|status| client.failure(FOLLOW, &status))?;
        let told = told.ok_or_else(|| {
            let ended = Status::unavailable("the control plane ended it");
            client.failure(FOLLOW, &ended)
        })?;
        match told.kind {
            Some(Kind::Record(record)) => show(desk, client, record, &mut rows)?,
            Some(Kind::Skipped(frames)) => {
                note(&format!("{} skipped: the way here was too slow for them", count(frames, "record")));
            }
            Some(Kind::Nodes(nodes)) => note(&followed(&nodes)),
            // Something that a later control plane tells.
            None => {}
        }
    }
}

fn show(desk: &Desk, client: &Client, record: TapeRecord, rows: &mut FrameRows) -> Result<(), Failure> {
    let page = desk.printer.page(&client.fleet(), client.server());
    let recorded = Recorded::from(record);
    match desk.printer.format() {
        Format::Table => desk.printer.write(&rows.line(&recorded.frame, &page)),
        Format::Json | Format::Jsonl | Format::Yaml => desk.printer.redraw(&recorded, &page),
    }
}

/// Which nodes are followed, and how.
fn followed(nodes: &TailedNodes) -> String {
    let stored = match nodes.stored.as_slice() {
        [] => String::new(),
        some => format!("; as stored only, some seconds later: {}", some.join(", ")),
    };
    match nodes.live.as_slice() {
        [] => format!("followed live: no node{stored}"),
        some => format!("followed live: {}{stored}", some.join(", ")),
    }
}

/// Waits until the reader of standard output has gone, where that can be known: of pipes, not of files.
async fn nobody_reads() {
    // Only asked whether it is broken: nothing is written through it, so it need not be a pipe, nor be set not to block.
    let output = std::io::stdout().as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd_unchecked);
    let Ok(output) = output else { return std::future::pending().await };
    if output.ready(Interest::ERROR).await.is_err() {
        std::future::pending::<()>().await;
    }
}
