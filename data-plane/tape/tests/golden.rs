//! Files of format 1.0 that every later build reads, and what they say. Nothing here is ever changed: a format that
//! reads them differently is another major version.
//!
//! The lines were written, and their checksums computed, by a program that shares no code with this crate.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use shadowcat_tape::line;
use shadowcat_tape::record::{Outcome, Record};
use shadowcat_tape::segment::{Contents, Found, Scan, Summary, unseal};
use shadowcat_tape::tape::{TapeReader, validate};

/// More than any file here unpacks to.
const ENOUGH: usize = 1024 * 1024;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// What a record says, on one line.
fn say(record: &Record<'_>, message: Option<&[u8]>) -> String {
    let mut told = format!("{} {} {:?}", record.seq, record.t, record.k);
    let texts = [("m", &record.m), ("name", &record.name), ("life", &record.life), ("text", &record.text)];
    for (name, text) in texts {
        if let Some(text) = text {
            told += &format!(" {name}={text:?}");
        }
    }
    if let Some(id) = record.id {
        told += &format!(" id={}", id.get());
    }
    if let Some(gap) = &record.gap {
        told += &format!(" gap={}/{:?}/{:?}/{:?}/{:?}", gap.why, gap.frames, gap.bytes, gap.instance, gap.segments);
    }
    match message {
        Some(large) if large.len() > ENOUGH / 100 => told += &format!(" message of {} bytes", large.len()),
        Some(message) => told += &format!(" message={:?}", String::from_utf8_lossy(message)),
        None => {}
    }
    told + "\n"
}

fn say_all(plain: &[u8]) -> (String, Summary) {
    let mut told = String::new();
    let mut scan = Scan::new(plain);
    for found in scan.by_ref() {
        match found.expect("format 1.0") {
            Found::Record(found) => {
                told += &say(&found.record, line::message(&found.record).expect("base64").as_deref());
            }
            Found::Corrupt { at, why } => told += &format!("corrupt {at:?}: {why}\n"),
            Found::Torn { at, why } => told += &format!("torn {at:?}: {why}\n"),
        }
    }
    let summary = scan.summary().clone();
    (told, summary)
}

#[test]
fn a_plain_segment_of_format_1_0_says_what_it_always_said() {
    let (told, summary) = say_all(&fs::read(golden("segment-v1.jsonl")).unwrap());
    assert_eq!(told, fs::read_to_string(golden("segment-v1.txt")).unwrap());
    assert!(summary.is_whole() && summary.has_ended);
    assert_eq!((summary.records, summary.frames, summary.gaps, summary.gap_frames), (16, 11, 2, 40));
}

#[test]
fn a_damaged_segment_of_format_1_0_says_the_rest_and_what_is_lost() {
    let (told, summary) = say_all(&fs::read(golden("segment-v1-damaged.jsonl")).unwrap());
    assert_eq!(told, fs::read_to_string(golden("segment-v1-damaged.txt")).unwrap());
    assert_eq!((summary.records, summary.missing, summary.corrupt_ranges, summary.torn_bytes), (14, 1, 1, 20));
}

#[test]
fn a_sealed_segment_of_format_1_0_holds_the_plain_one() {
    let sealed = fs::read(golden("segment-v1.jsonl.zst")).unwrap();
    let plain = fs::read(golden("segment-v1.jsonl")).unwrap();
    let unsealed = unseal(&sealed, ENOUGH).unwrap();
    assert!(unsealed.plain == plain && unsealed.damage.is_empty() && unsealed.has_table);
    let (t1, clock, bytes) = (4_000, 1_800_000_000_000_000_000, plain.len() as u64);
    let contents = Contents { first_seq: 1, last_seq: 16, records: 16, frames: 11, t0: 0, t1, clock, plain: bytes };
    assert_eq!(unsealed.contents, Some(contents));
}

#[test]
fn the_members_of_a_message_of_format_1_0_mean_what_they_always_meant() {
    let plain = fs::read(golden("segment-v1.jsonl")).unwrap();
    let lines: Vec<_> = plain.split_inclusive(|byte| *byte == b'\n').collect();
    let request = line::decode(lines[3]).unwrap();
    let http = request.http.as_ref().unwrap();
    assert_eq!((http.method.as_deref(), http.path.as_deref(), http.status), (Some("POST"), Some("/mcp"), None));
    assert_eq!(http.headers["mcp-protocol-version"], "2025-11-25");
    assert_eq!((request.red[0].ptr.as_ref(), request.red[0].len), ("/params/arguments/token", 40));
    assert_eq!((request.version, request.sz, request.op), (Some(12), Some(171), Some(4)));
    assert_eq!((request.tape.as_deref(), request.principal.as_deref()), (Some("9b1d4c0e"), Some("alice")));
    let answer = line::decode(lines[4]).unwrap();
    assert_eq!((answer.re, answer.lat, answer.out), (Some(4), Some(950), Some(Outcome::Ok)));
    assert_eq!(answer.blob.unwrap().bytes, 70_000);
    assert_eq!(line::decode(lines[14]).unwrap().out, Some(Outcome::Unknown));
}

#[test]
fn what_is_read_of_format_1_0_is_written_again_as_it_was() {
    let plain = fs::read(golden("segment-v1.jsonl")).unwrap();
    // The fourteenth and the fifteenth have members that no writer of 1.0 knows.
    for written in plain.split_inclusive(|byte| *byte == b'\n').take(13) {
        let mut again = Vec::new();
        line::encode(&line::decode(written).unwrap(), &mut again);
        assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(written.to_vec()).unwrap());
    }
}

#[test]
fn a_tape_of_format_1_0_says_what_it_always_said() {
    let dir = golden("v1.tape");
    let report = validate(&dir);
    assert!(report.is_ok(), "{:?}", report.problems);
    assert_eq!((report.segments, report.blobs, report.gaps.len()), (2, 1, 2));
    let tape = TapeReader::open(&dir).unwrap();
    let mut told = String::new();
    let read = tape.each(|found| {
        let Found::Record(line) = found else { panic!("{found:?}") };
        told += &say(&line.record, tape.message(&line.record).unwrap().as_deref());
        ControlFlow::Continue(())
    });
    assert!(read.unwrap().is_whole());
    assert_eq!(told, fs::read_to_string(golden("v1.tape.txt")).unwrap());
}
