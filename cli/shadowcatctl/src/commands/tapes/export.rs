//! `tapes export`: records of a selection in a file of its owner.

use std::path::Path;

use shadowcat_proto::admin::v1::read_tapes_response::Kind;
use shadowcat_proto::admin::v1::{ReadEnd, ReadTapesRequest, TapeSelection};

use super::super::Desk;
use super::super::interrupt::Interrupt;
use super::super::line::{Line, note};
use super::read::{Reading, hexadecimal, remark};
use crate::Failure;
use crate::args::ExportArgs;
use crate::connect::Client;
use crate::export::{ExportFormat, Place, Sink, Written, open};
use crate::output::{bytes, count};
use crate::view::Recorded;

/// How many records come before progress is shown again: a thousandth of what one export brings at most.
const DRAW_EVERY: u64 = 1000;

pub(super) async fn run(desk: &Desk, args: ExportArgs) -> Result<(), Failure> {
    let format = format(&args)?;
    let place = Place::new(&args.to)?;
    // What was written so far is removed when it comes.
    let mut interrupt = Interrupt::listen();
    let client = desk.client().await?;
    let ids = TapeSelection { ids: args.tapes, ..TapeSelection::default() };
    let request = ReadTapesRequest {
        fleet: client.fleet(),
        selection: Some(args.what.narrow(args.place.narrow(args.span.narrow(ids)))),
        limit: 0,
        blobs: format != ExportFormat::Jsonl,
    };
    let mut sink = open(format, &place)?;
    let end = tokio::select! {
        end = copy(desk, &client, request, sink.as_mut()) => end?,
        () = interrupt.comes() => return Err(Failure::failed("interrupted; nothing was kept")),
    };
    let written = sink.finish()?;
    if written.items == 0 && end.damage.is_empty() && written.damage.is_empty() {
        note("nothing fits; nothing was written");
        return Ok(());
    }
    place.keep()?;
    conclude(desk, &args.to, &end, &written)
}

fn format(args: &ExportArgs) -> Result<ExportFormat, Failure> {
    args.format.or_else(|| ExportFormat::of(&args.to)).ok_or_else(|| {
        let file = args.to.display();
        Failure::usage(format!(
            "{file} does not end with .tape, .jsonl, .har or .parquet; say which it is with --format"
        ))
    })
}

async fn copy(
    desk: &Desk,
    client: &Client,
    request: ReadTapesRequest,
    sink: &mut dyn Sink,
) -> Result<ReadEnd, Failure> {
    let mut line = Line::new(desk.printer.format());
    let mut reading = Reading::begin(client, request).await?;
    let (mut records, mut received) = (0, 0);
    loop {
        let told = reading.next().await;
        if told.is_err() {
            line.clear();
        }
        match told? {
            Kind::Record(record) => {
                received += record.line.len() as u64;
                records += 1;
                if records % DRAW_EVERY == 1 {
                    line.draw(&format!("{}, {}", count(records, "record"), bytes(received)));
                }
                sink.record(&Recorded::from(record))?;
            }
            Kind::Blob(blob) => {
                received += blob.content.len() as u64;
                sink.blob(&hexadecimal(&blob.hash), blob.content)?;
            }
            Kind::End(end) => {
                line.clear();
                return Ok(end);
            }
        }
    }
}

/// What is there now, and what is not. An export that is not whole is kept, and told by the exit code.
fn conclude(desk: &Desk, to: &Path, end: &ReadEnd, written: &Written) -> Result<(), Failure> {
    remark(end);
    for damage in &written.damage {
        note(&format!("damaged: {damage}"));
    }
    for left_out in &written.left_out {
        note(&format!("left out: {left_out}"));
    }
    let items = count(written.items, written.noun);
    if end.damage.is_empty() && end.remark.is_empty() && written.damage.is_empty() {
        return desk.printer.say(&format!("{items} in {}", to.display()));
    }
    Err(Failure::failed(format!("{} is not whole: it has {items}, and what is told above is missing", to.display())))
}
