//! `shadowcat tape show`: what was said, as a conversation or record by record.

use std::ops::ControlFlow;

use anyhow::{anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shadowcat_tape::line::Message;
use shadowcat_tape::segment::{Line, SegmentId};
use shadowcatctl_cli::output::{Format, Printer, count};
use shadowcatctl_cli::view::{Blobs, Conversation, Layout};

use super::{note, page, printed};
use crate::args::TapeShowArgs;
use crate::commands::Ended;
use crate::tapes::{Contents, Event, Place, Selected, message, read, recorded, words};

/// Frames of a conversation that is put together before it is printed: as `shadowcatctl tapes show` has it.
const FRAMES_MAX: usize = 10_000;

/// Bytes of records that are held for one.
const RECORD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Other tapes that are named: what fits a line.
const NAMED_MAX: usize = 8;

/// What a line of a record ends with, from its checksum on: `,"c":"00000000"}`.
const CHECKSUM_BYTES: usize = 16;

/// Shows the latest tape of a place, or the one that is named.
pub(super) fn run(args: &TapeShowArgs) -> anyhow::Result<Ended> {
    let place = Place::at(&args.path)?;
    let contents = Contents::of(&place)?;
    if let Some(refused) = &contents.refused {
        note(&format!("{}: {refused}", place.path.display()));
        return Ok(Ended::NewerFormat);
    }
    let selected = contents.select(args.tape.as_deref()).ok_or_else(|| unknown(args, &contents))?;
    let printer = Printer::new(Format::Table);
    let shown = if args.raw {
        raw(&place, &selected, &printer)?
    } else {
        let layout = if args.frames { Layout::Frames } else { Layout::Operations };
        conversation(&place, &selected, layout, &printer)?
    };
    if shown == 0 {
        note("nothing is recorded there");
    }
    others(&contents, &selected);
    damage(&place, &contents);
    Ok(if contents.refusals > 0 { Ended::NewerFormat } else { Ended::Whole })
}

fn unknown(args: &TapeShowArgs, contents: &Contents) -> anyhow::Error {
    let (path, wanted) = (args.path.display(), args.tape.as_deref().unwrap_or_default());
    match contents.tapes.as_slice() {
        [] => anyhow!("{path} has no tape {wanted}: nothing in it belongs to one"),
        _ => anyhow!("{path} has no tape {wanted}; it has {}", names(contents, None)),
    }
}

/// The latest tapes but one, and how many are left.
fn names(contents: &Contents, but: Option<&str>) -> String {
    let ids: Vec<&str> = contents.tapes.iter().map(|tape| tape.id.as_str()).filter(|id| Some(*id) != but).collect();
    let more = match ids.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    ids.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ") + &more
}

fn others(contents: &Contents, selected: &Selected) {
    if let Some(shown) = &selected.tape
        && contents.tapes.len() > 1
    {
        let many = count(contents.tapes.len() as u64, "tape");
        let others = names(contents, Some(&shown.id));
        note(&format!("{many} are there; this is {}, and to see another name it: {others}", shown.id));
    }
    if contents.untold > 0 {
        note(&format!("{} of further tapes are not told apart", count(contents.untold, "record")));
    }
}

fn damage(place: &Place, contents: &Contents) {
    contents.problems.iter().for_each(|problem| note(&format!("damaged: {problem}")));
    if contents.more_problems > 0 {
        let path = place.path.display();
        note(&format!("and {} more; `shadowcat tape validate {path}` tells all", contents.more_problems));
    }
}

/// Prints what can be read, all at once.
fn conversation(place: &Place, selected: &Selected, layout: Layout, printer: &Printer) -> anyhow::Result<u64> {
    let mut conversation = Conversation { records: Vec::new(), blobs: Blobs::new(), cure: "`--raw`", layout };
    let mut record_bytes = 0;
    let mut is_cut = false;
    read(place, &mut |event| {
        let Event::Record(line, origin) = event else { return ControlFlow::Continue(()) };
        if !selected.takes(&line.record, origin) {
            return ControlFlow::Continue(());
        }
        record_bytes += line.bytes.len();
        if conversation.records.len() == FRAMES_MAX || record_bytes > RECORD_BYTES_MAX {
            is_cut = true;
            return ControlFlow::Break(());
        }
        conversation.records.push(recorded(line, origin));
        ControlFlow::Continue(())
    })?;
    printed(printer.show(&conversation, &page(printer)))?;
    let shown = conversation.records.len() as u64;
    if is_cut {
        note(&format!("only the first {} are shown; `--raw` prints all", count(shown, "frame")));
    }
    Ok(shown)
}

/// Prints each record when it is read, as it was written; one whose message is kept apart, with the message.
fn raw(place: &Place, selected: &Selected, printer: &Printer) -> anyhow::Result<u64> {
    let (mut shown, mut ended, mut segment) = (0, Ok(()), None);
    read(place, &mut |event| {
        match event {
            Event::Begin { part, .. } => segment.clone_from(&part.segment),
            Event::Record(line, origin) if selected.takes(&line.record, origin) => {
                ended = printer.write_line(&whole(place, segment.as_ref(), line));
                shown += 1;
                if ended.is_err() {
                    return ControlFlow::Break(());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    match printed(ended) {
        Ok(()) => Ok(shown),
        Err(why) => bail!(why),
    }
}

/// A record with its message. The checksum is that of the line without it, and goes.
fn whole(place: &Place, segment: Option<&SegmentId>, line: &Line<'_>) -> Vec<u8> {
    let bytes = line.bytes.strip_suffix(b"\n").unwrap_or(line.bytes);
    let Some(blob) = &line.record.blob else { return bytes.to_vec() };
    let content = match message(place, segment, &blob.hash) {
        Ok(content) => content,
        Err(why) => {
            note(&format!("damaged: the message of record {}, {}: {}", line.record.seq, blob.hash, words(&why)));
            return bytes.to_vec();
        }
    };
    let mut whole = bytes[..bytes.len() - CHECKSUM_BYTES].to_vec();
    match Message::of(&content).as_json() {
        Some(json) => whole.extend([br#","body":"#, json.as_bytes()].concat()),
        None => whole.extend(format!(r#","b64":"{}""#, STANDARD.encode(&content)).into_bytes()),
    }
    whole.push(b'}');
    whole
}
