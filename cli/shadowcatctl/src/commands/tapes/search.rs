//! `tapes search`: calls that fit, the latest first.

use shadowcat_proto::admin::v1::search_tapes_request::What;
use shadowcat_proto::admin::v1::search_tapes_response::Kind;
use shadowcat_proto::admin::v1::{Frame, SearchEnd, SearchProgress, SearchTapesRequest, TapeSelection};

use super::super::Desk;
use super::super::line::{Line, note};
use super::again;
use crate::Failure;
use crate::args::SearchArgs;
use crate::connect::Client;
use crate::output::{Format, count};
use crate::view::{Columns, FoundFrames, FrameRows};

/// The call, for a person.
const SEARCH: &str = "search the tapes";

pub(super) async fn run(desk: &Desk, args: SearchArgs) -> Result<(), Failure> {
    let client = desk.client().await?;
    let ids = TapeSelection { ids: args.tapes, ..TapeSelection::default() };
    let selection = args.what.narrow(args.place.narrow(args.span.narrow(ids)));
    let mut request = SearchTapesRequest {
        fleet: client.fleet(),
        selection: Some(selection.clone()),
        limit: args.part.limit,
        cursor: args.part.cursor,
        ..SearchTapesRequest::default()
    };
    request.set_what(if args.frames { What::Frames } else { What::Calls });
    let mut found =
        Finds { desk, client: &client, rows: FrameRows::new(Columns::Found), kept: FoundFrames::default(), seen: 0 };
    let ended = search(&client, request, &mut found).await;
    // What was found before the search broke is shown all the same.
    found.finish(ended.as_ref().ok())?;
    conclude(&selection, found.seen, &ended?);
    Ok(())
}

async fn search(client: &Client, request: SearchTapesRequest, found: &mut Finds<'_>) -> Result<SearchEnd, Failure> {
    let mut line = Line::new(found.desk.printer.format());
    let mut stream = Box::pin(client.call(SEARCH, client.tapes().search(request))).await?;
    loop {
        let told = client.next(SEARCH, &mut stream).await;
        line.clear();
        match told?.kind {
            Some(Kind::Found(frame)) => found.take(frame)?,
            Some(Kind::Progress(progress)) => line.draw(&how_far(&progress)),
            Some(Kind::End(end)) => return Ok(end),
            // Something that a later control plane tells.
            None => {}
        }
    }
}

fn how_far(progress: &SearchProgress) -> String {
    let all = progress.segments.saturating_add(progress.segments_left);
    format!("{} looked at, {} of {all} segments", count(progress.frames, "frame"), progress.segments)
}

/// What has been found: shown as it is found where somebody looks, else kept until the end.
struct Finds<'a> {
    desk: &'a Desk,
    client: &'a Client,
    rows: FrameRows,
    kept: FoundFrames,
    seen: u64,
}

impl Finds<'_> {
    fn take(&mut self, frame: Frame) -> Result<(), Failure> {
        let printer = &self.desk.printer;
        self.seen += 1;
        if !printer.at_once() {
            self.kept.frames.push(frame);
            return Ok(());
        }
        let page = printer.page(&self.client.fleet(), self.client.server());
        match printer.format() {
            Format::Table => printer.write(&self.rows.line(&frame, &page)),
            _ => printer.show(&frame, &page),
        }
    }

    fn finish(&mut self, end: Option<&SearchEnd>) -> Result<(), Failure> {
        let printer = &self.desk.printer;
        if printer.at_once() {
            return Ok(());
        }
        if let Some(end) = end {
            self.kept.next.clone_from(&end.next);
            self.kept.remark.clone_from(&end.remark);
        }
        printer.show(&self.kept, &printer.page(&self.client.fleet(), self.client.server()))
    }
}

/// What there is to say beside the rows.
fn conclude(selection: &TapeSelection, seen: u64, end: &SearchEnd) {
    let progress = end.progress.unwrap_or_default();
    if seen == 0 {
        note(&format!("nothing fits; {} looked at", count(progress.frames, "frame")));
    }
    if end.unjudged > 0 {
        let unjudged = count(end.unjudged, "frame");
        note(&format!("{unjudged} could not be judged: the filter failed there, or what they say could not be read"));
    }
    if !end.remark.is_empty() {
        note(&end.remark);
    }
    if !end.next.is_empty() {
        note(&format!("there may be more: {}", again::command(selection, &end.next)));
    }
}
