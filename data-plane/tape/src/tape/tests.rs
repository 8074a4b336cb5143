use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Manifest, Selection, State, TapeError, TapeReader, TapeSettings, TapeWriter, validate};
use crate::record::{BlobRef, Gap, Kind, Record};
use crate::segment::{Found, Summary};
use crate::testing::{line_of, lines};

/// The small segments of these tests.
const ROLL_BYTES: usize = 16 * 1024;

/// A large message.
const IMAGE: &[u8] = &[0xff; 70_000];

fn settings() -> TapeSettings {
    TapeSettings { roll_bytes: ROLL_BYTES, ..TapeSettings::default() }
}

/// A tape of 200 messages, one of them kept apart, and a gap.
fn tape() -> (TempDir, PathBuf, Manifest) {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("demo.tape");
    let mut writer = TapeWriter::create(&dir, settings()).unwrap();
    lines(198).iter().for_each(|line| writer.append(line).unwrap());
    let hash = writer.add_blob(IMAGE).unwrap();
    let blob = Some(BlobRef { hash: hash.into(), bytes: IMAGE.len() as u64 });
    writer.append(&line_of(&Record { seq: 200, t: 200_000, blob, ..Record::default() })).unwrap();
    let gap = Some(Gap { why: "queue_full".into(), frames: Some(3), ..Gap::default() });
    writer.append(&line_of(&Record { k: Kind::Gap, seq: 201, t: 201_000, gap, ..Record::default() })).unwrap();
    (home, dir, writer.finish().unwrap())
}

fn read(dir: &Path) -> (Vec<u8>, Summary) {
    let mut bytes = Vec::new();
    let summary = TapeReader::open(dir).unwrap().each(|found| {
        if let Found::Record(line) = found {
            bytes.extend_from_slice(line.bytes);
        }
        ControlFlow::Continue(())
    });
    (bytes, summary.unwrap())
}

/// All that is said of a tape, in one text.
fn told(dir: &Path) -> String {
    let report = validate(dir);
    assert_eq!(report.is_ok(), report.problems.is_empty());
    report.problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn a_tape_gives_back_every_line_as_it_was_and_is_in_order() {
    let (_home, dir, manifest) = tape();
    let (bytes, summary) = read(&dir);
    assert!(bytes.starts_with(&lines(198).concat()));
    assert!(summary.is_whole() && summary.records == 201 && summary.gap_frames == 3);
    assert!(manifest.segments.len() > 3);
    assert_eq!(manifest.segments.iter().map(|segment| segment.records).sum::<u64>(), 201);
    let report = validate(&dir);
    assert!(report.is_ok(), "{:?}", report.problems);
    assert_eq!((report.segments, report.blobs), (manifest.segments.len() as u64, 1));
    assert_eq!(report.gaps, [(201, "queue_full".to_owned(), Some(3))]);
}

#[test]
fn a_message_that_is_kept_apart_is_found_by_its_record() {
    let (_home, dir, _) = tape();
    let tape = TapeReader::open(&dir).unwrap();
    let mut found_image = false;
    let visited = tape.each(|found| {
        let Found::Record(line) = found else { panic!("{found:?}") };
        let message = tape.message(&line.record).unwrap();
        found_image |= message.as_deref() == Some(IMAGE);
        if line.record.seq == 200 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(found_image);
    assert_eq!(visited.unwrap().last_seq, Some(200));
    assert!(tape.blob("../manifest.json").is_err());
}

#[test]
fn a_tape_is_not_written_over_and_takes_nothing_but_records() {
    let (_home, dir, _) = tape();
    assert!(matches!(TapeWriter::create(&dir, settings()), Err(TapeError::Exists(_))));
    let home = TempDir::new().unwrap();
    let mut writer = TapeWriter::create(home.path(), settings()).unwrap();
    assert!(writer.append(b"{}\n").unwrap_err().to_string().contains("does not end with a checksum"));
    assert_eq!(writer.finish().unwrap().segments, []);
    assert!(validate(home.path()).is_ok());
}

#[test]
fn a_tape_whose_recorder_died_is_read_to_its_last_whole_line_and_said_to_be_open() {
    let home = TempDir::new().unwrap();
    let mut writer = TapeWriter::create(home.path(), settings()).unwrap();
    let all = lines(60);
    all.iter().for_each(|line| writer.append(line).unwrap());
    writer.flush().unwrap();
    drop(writer);
    let (bytes, summary) = read(home.path());
    assert_eq!((bytes, summary.records), (all.concat(), 61));
    assert_eq!(TapeReader::open(home.path()).unwrap().manifest().state, State::Open);
    assert!(told(home.path()).contains("never finished"));
}

#[test]
fn every_damage_is_told_with_its_place() {
    type Harm = fn(&Path, &mut Manifest);
    let harms: [(Harm, &str); 8] = [
        (|dir, _| fs::remove_file(dir.join("seg-000001.jsonl.zst")).unwrap(), "seg-000001.jsonl.zst: No such file"),
        (
            |dir, _| {
                let file = dir.join("seg-000001.jsonl.zst");
                let mut bytes = fs::read(&file).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(file, bytes).unwrap();
            },
            "seg-000001.jsonl.zst, bytes ",
        ),
        (|_, manifest| manifest.segments.swap(1, 2), "the chain is broken: segment 1"),
        (|_, manifest| drop(manifest.segments.remove(1)), "the chain is broken: segment 1"),
        (|_, manifest| manifest.segments[0].frames += 1, "seg-000000.jsonl.zst: it does not hold the records"),
        (|dir, _| fs::remove_dir_all(dir.join("blobs")).unwrap(), "the message of record 200"),
        (
            |dir, _| {
                let blob = fs::read_dir(dir.join("blobs")).unwrap().next().unwrap().unwrap();
                fs::write(blob.path(), "other").unwrap();
            },
            "holds something whose BLAKE3 is",
        ),
        (|_, manifest| manifest.format = (2, 0), "manifest.json: its format is 2.0"),
    ];
    for (harm, expected) in harms {
        let (_home, dir, mut manifest) = tape();
        harm(&dir, &mut manifest);
        manifest.write(&dir).unwrap();
        let told = told(&dir);
        assert!(told.contains(expected), "{expected} is not in:\n{told}");
    }
}

#[test]
fn a_manifest_with_a_bit_of_any_byte_flipped_is_told_or_says_the_same() {
    let (_home, dir, manifest) = tape();
    let file = dir.join("manifest.json");
    let whole = fs::read(&file).unwrap();
    // The line feed at its end is nothing of it.
    for at in 0..whole.len() - 1 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&file, &bytes).unwrap();
        if validate(&dir).is_ok() {
            let read = Manifest::read(&dir).unwrap();
            assert_eq!((read.state, read.selection), (manifest.state, manifest.selection), "byte {at}");
            assert_eq!(read.segments, manifest.segments, "byte {at}");
        }
        fs::write(&file, &bytes[..at]).unwrap();
        assert!(!validate(&dir).is_ok(), "{at} bytes of {}", whole.len());
    }
}

#[test]
fn holes_are_loss_on_a_tape_of_everything_and_none_on_a_selection() {
    for (selection, ok) in [(Selection::Everything, false), (Selection::Some, true)] {
        let home = TempDir::new().unwrap();
        let mut writer = TapeWriter::create(home.path(), TapeSettings { selection, ..settings() }).unwrap();
        lines(9).iter().step_by(2).for_each(|line| writer.append(line).unwrap());
        writer.finish().unwrap();
        let report = validate(home.path());
        assert_eq!((report.is_ok(), report.summary.missing), (ok, 4));
        assert!(ok || report.problems[0].to_string().contains("1 records before record 3 are missing"));
    }
}

#[test]
fn what_is_no_tape_is_said_to_be_none() {
    let home = TempDir::new().unwrap();
    assert!(told(home.path()).contains("manifest.json: No such file"));
    fs::write(home.path().join("manifest.json"), "[]").unwrap();
    assert!(matches!(TapeReader::open(home.path()), Err(TapeError::Manifest { .. })));
}
