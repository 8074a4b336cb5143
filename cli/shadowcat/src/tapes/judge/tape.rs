//! Judging a tape: as `shadowcat_tape::tape::validate` does, and beyond it files that the manifest does not know, and
//! what is left of a tape whose manifest is lost.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use shadowcat_tape::tape::{
    BLOBS, MANIFEST, Manifest, PROBLEMS_MAX, Report, State as Finished, TapeError, TapeReader, TapeSegment, validate,
};

use shadowcatctl_cli::output::count as noun;

use super::super::files::words;
use super::super::parts::{Part, parts};
use super::super::place::entries;
use super::super::{Event, Place, Refusals, Tally, Unusable, read};
use super::{Judgement, State, problem, tell};

/// Why there is no manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Unread {
    /// A newer build wrote it.
    Newer(String),
    /// It is not there, or none.
    Damaged(String),
}

/// The manifest of a tape.
pub(in super::super) fn manifest(place: &Place) -> Result<Manifest, Unread> {
    match fs::metadata(place.path.join(MANIFEST)) {
        Ok(file) if file.is_file() => {}
        // Whoever opened a pipe would wait for its writer.
        Ok(_) => return Err(Unread::Damaged("it is no file".to_owned())),
        Err(why) => return Err(Unread::Damaged(words(&why))),
    }
    match TapeReader::open(&place.path) {
        Ok(tape) => Ok(tape.manifest().clone()),
        Err(TapeError::Refused { source, .. }) => Err(Unread::Newer(source.to_string())),
        Err(TapeError::Io { source, .. }) => Err(Unread::Damaged(words(&source))),
        Err(TapeError::Manifest { what, .. }) => Err(Unread::Damaged(format!("it is no manifest of a tape: {what}"))),
        Err(other) => Err(Unread::Damaged(other.to_string())),
    }
}

pub(super) fn judge(place: &Place) -> Result<Judgement, Unusable> {
    let known = match manifest(place) {
        Err(Unread::Newer(what)) => return Ok(newer(place, what)),
        known => known,
    };
    let checked = match (&known, strange(&place.path)?) {
        (Ok(manifest), None) => Ok(by_manifest(place, manifest)?),
        (Ok(_), Some(name)) => {
            let what = "it is no file: the tape is not checked against its manifest while it is there";
            Err(problem(name, what))
        }
        (Err(Unread::Damaged(what) | Unread::Newer(what)), _) => Err(problem(MANIFEST, what)),
    };
    let is_checked = checked.is_ok();
    let mut report = checked.unwrap_or_else(|problem| Report { problems: vec![problem], ..Report::default() });
    let Counted { tally, refusals, records } = count(place, if is_checked { None } else { Some(&mut report) })?;
    let mut remarks = match &known {
        Ok(manifest) if !report.is_ok() => losses(manifest, &records),
        _ => Vec::new(),
    };
    if known.is_err() && tally.frames > 0 {
        let path = place.path.display();
        remarks.push(format!("its segments are read without the manifest: `shadowcat tape show {path}` shows them"));
    }
    let is_open = known.is_ok_and(|manifest| manifest.state == Finished::Open);
    let state = match report.problems.len() {
        _ if refusals > 0 => State::Newer,
        0 if report.is_ok() => State::Whole,
        1 if is_open && is_checked && report.untold == 0 => State::Open,
        _ => State::Damaged,
    };
    Ok(Judgement { place: place.clone(), state, tally, stored_bytes: 0, report, remarks })
}

fn newer(place: &Place, what: String) -> Judgement {
    let report = Report { problems: vec![problem(MANIFEST, what)], ..Report::default() };
    let (state, tally) = (State::Newer, Tally::default());
    Judgement { place: place.clone(), state, tally, stored_bytes: 0, report, remarks: Vec::new() }
}

/// The first thing in a tape that would be opened and is no file.
fn strange(path: &Path) -> Result<Option<String>, Unusable> {
    let is_strange = |path: &Path| fs::metadata(path).is_ok_and(|entry| !entry.is_file());
    let in_tape = entries(path)?.into_iter().filter(|name| name != BLOBS).find(|name| is_strange(&path.join(name)));
    if in_tape.is_some() {
        return Ok(in_tape);
    }
    let blobs = path.join(BLOBS);
    // What is wrong with a directory that cannot be listed is told for each message in it.
    let names = entries(&blobs).unwrap_or_default();
    Ok(names.into_iter().find(|name| is_strange(&blobs.join(name))).map(|name| format!("{BLOBS}/{name}")))
}

/// What the format's own judge says, with words for segments that are not there, and files that nobody knows.
fn by_manifest(place: &Place, manifest: &Manifest) -> Result<Report, Unusable> {
    let mut report = validate(&place.path);
    for segment in &manifest.segments {
        let name = Part { number: segment.n, segment: None, is_last: false }.sealed_name();
        if fs::symlink_metadata(place.path.join(&name)).is_err_and(|why| why.kind() == io::ErrorKind::NotFound) {
            let told = report.problems.iter_mut().find(|told| told.file == name && told.at.is_none());
            told.into_iter().for_each(|told| told.what = lost(segment));
        }
    }
    for part in parts(place)? {
        let place_in_manifest = usize::try_from(part.number).unwrap_or(usize::MAX);
        let follows = manifest.state == Finished::Open && place_in_manifest == manifest.segments.len();
        if place_in_manifest >= manifest.segments.len() && !follows {
            let what = "the manifest does not list it: it is of another tape, or the manifest is an older one";
            tell(&mut report, problem(part.sealed_name(), what));
        }
    }
    Ok(report)
}

fn lost(segment: &TapeSegment) -> String {
    format!("it is not there, and what it held is lost: {}", noun(segment.frames, "frame"))
}

/// What there is.
#[derive(Default)]
struct Counted {
    tally: Tally,
    refusals: Refusals,
    /// Records by the number of their segment: at most as many as a directory has entries.
    records: BTreeMap<u64, u64>,
}

/// How much of each segment is lost.
fn losses(manifest: &Manifest, records: &BTreeMap<u64, u64>) -> Vec<String> {
    let lost = |segment: &TapeSegment| {
        let TapeSegment { n, first_seq, last_seq, records: listed, .. } = segment;
        let lost = listed.checked_sub(records.get(n).copied().unwrap_or(0)).filter(|lost| *lost > 0)?;
        let name = Part { number: *n, segment: None, is_last: false }.sealed_name();
        Some(format!("{name}: {lost} of {listed} records are lost, from {first_seq} to {last_seq}"))
    };
    manifest.segments.iter().filter_map(lost).take(PROBLEMS_MAX).collect()
}

/// Counts what there is, and tells what is wrong to a report that nobody has looked for yet.
fn count(place: &Place, mut report: Option<&mut Report>) -> Result<Counted, Unusable> {
    let mut counted = Counted::default();
    let mut number = 0;
    counted.refusals = read(place, &mut |event| {
        match (event, report.as_deref_mut()) {
            (Event::Begin { part, .. }, _) => number = part.number,
            (Event::Record(line, origin), _) => {
                counted.tally.add(&line.record, origin);
                *counted.records.entry(number).or_default() += 1;
            }
            (Event::Problem(found) | Event::Unfinished(found) | Event::Refused(found), Some(report)) => {
                tell(report, found);
            }
            (Event::End(summary), Some(report)) => {
                report.segments += 1;
                report.summary.records += summary.records;
                report.summary.frames += summary.frames;
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(counted)
}
