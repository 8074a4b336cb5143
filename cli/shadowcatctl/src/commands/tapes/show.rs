//! `tapes show`: a tape or a call, to be read.

use shadowcat_proto::admin::v1::read_tapes_response::Kind;
use shadowcat_proto::admin::v1::{ListTapesRequest, ReadEnd, ReadTapesRequest, TapeRecord, TapeSelection};

use super::super::Desk;
use super::list::LIST;
use super::read::{Reading, hexadecimal, remark};
use crate::Failure;
use crate::args::ShowTapeArgs;
use crate::connect::Client;
use crate::output::{Format, clean, count};
use crate::view::{Blobs, Conversation, Layout, Recorded};

/// The tape with the latest frame.
const LAST: &str = "@last";

/// Frames of a conversation that is put together before it is printed: more than anybody reads, and some ten MiB.
const DEFAULT_FRAMES: u64 = 10_000;

/// Bytes of records that are held for a conversation; where there are more, it ends there and says so.
const RECORD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of messages kept apart that are held for a conversation; those beyond are told by their size.
const BLOB_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) async fn run(desk: &Desk, args: ShowTapeArgs) -> Result<(), Failure> {
    let client = desk.client().await?;
    let id = if args.id == LAST { last(&client).await? } else { args.id };
    let streamed = args.raw || desk.printer.format() == Format::Jsonl;
    let request = ReadTapesRequest {
        fleet: client.fleet(),
        selection: Some(TapeSelection { ids: vec![id.clone()], ..TapeSelection::default() }),
        limit: args.limit.unwrap_or(if streamed { 0 } else { DEFAULT_FRAMES }),
        blobs: !streamed,
    };
    let mut reading = Reading::begin(&client, request).await?;
    let (shown, ended) = match (args.raw, streamed) {
        (true, _) => one_by_one(&mut reading, |record| raw(desk, &record)).await,
        (false, true) => one_by_one(&mut reading, |record| line(desk, &client, record)).await,
        (false, false) => {
            let layout = if args.frames { Layout::Frames } else { Layout::Operations };
            conversation(desk, &client, &mut reading, layout).await?
        }
    };
    let end = ended?;
    remark(&end);
    match shown {
        0 if end.damage.is_empty() => {
            let id = clean(&id);
            Err(Failure::failed(format!("no tape or call has the id {id}; see `shadowcatctl tapes list`")))
        }
        0 => Err(Failure::failed(format!("nothing of {} can be read", clean(&id)))),
        _ => Ok(()),
    }
}

async fn last(client: &Client) -> Result<String, Failure> {
    let request = ListTapesRequest { fleet: client.fleet(), limit: 1, ..ListTapesRequest::default() };
    let answer = Box::pin(client.call(LIST, client.tapes().list(request))).await?;
    let tape = answer.tapes.into_iter().next();
    tape.map(|tape| tape.id).ok_or_else(|| Failure::failed("no tape has been recorded yet"))
}

/// Prints each record when it comes; how many there were, and how it ended.
async fn one_by_one(
    reading: &mut Reading<'_>,
    mut print: impl FnMut(TapeRecord) -> Result<(), Failure>,
) -> (u64, Result<ReadEnd, Failure>) {
    let mut shown = 0;
    loop {
        match reading.next().await {
            Ok(Kind::Record(record)) => match print(record) {
                Ok(()) => shown += 1,
                Err(failure) => return (shown, Err(failure)),
            },
            Ok(Kind::Blob(_)) => {}
            Ok(Kind::End(end)) => return (shown, Ok(end)),
            Err(failure) => return (shown, Err(failure)),
        }
    }
}

fn raw(desk: &Desk, record: &TapeRecord) -> Result<(), Failure> {
    desk.printer.write_line(&record.line)
}

fn line(desk: &Desk, client: &Client, record: TapeRecord) -> Result<(), Failure> {
    desk.printer.show(&Recorded::from(record), &desk.printer.page(&client.fleet(), client.server()))
}

/// Prints what can be read, all at once, and tells how the read ended.
async fn conversation(
    desk: &Desk,
    client: &Client,
    reading: &mut Reading<'_>,
    layout: Layout,
) -> Result<(u64, Result<ReadEnd, Failure>), Failure> {
    let mut conversation = Conversation { records: Vec::new(), blobs: Blobs::new(), cure: "`tapes export`", layout };
    let ended = collect(reading, &mut conversation).await;
    if !conversation.records.is_empty() {
        let page = desk.printer.page(&client.fleet(), client.server());
        desk.printer.show(&conversation, &page)?;
    }
    Ok((conversation.records.len() as u64, ended))
}

async fn collect(reading: &mut Reading<'_>, conversation: &mut Conversation) -> Result<ReadEnd, Failure> {
    let (mut record_bytes, mut blob_bytes) = (0, 0);
    loop {
        match reading.next().await? {
            Kind::Record(record) => {
                record_bytes += record.line.len();
                if record_bytes > RECORD_BYTES_MAX {
                    let shown = count(conversation.records.len() as u64, "frame");
                    let remark = format!("only the first {shown} are shown; `shadowcatctl tapes export` brings all");
                    return Ok(ReadEnd { remark, ..ReadEnd::default() });
                }
                conversation.records.push(Recorded::from(record));
            }
            Kind::Blob(blob) if blob_bytes + blob.content.len() <= BLOB_BYTES_MAX => {
                blob_bytes += blob.content.len();
                conversation.blobs.insert(hexadecimal(&blob.hash), blob.content);
            }
            Kind::Blob(_) => {}
            Kind::End(end) => return Ok(end),
        }
    }
}
