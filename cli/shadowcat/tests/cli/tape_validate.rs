//! `shadowcat tape validate`: every way in which a tape can be damaged has its words and its exit code.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::recorded::{Home, change, head, names, segments, zstd_of_spaces};
use crate::support::{Told, tape};

/// Nothing is wrong; it is nothing of the kind; something is damaged or missing; a newer build wrote it.
pub(crate) const WHOLE: i32 = 0;
const UNUSABLE: i32 = 2;
pub(crate) const DAMAGED: i32 = 6;
const NEWER: i32 = 7;

async fn validate(path: &Path) -> Told {
    tape(&["validate", path.to_str().expect("UTF-8")]).await
}

/// The exit code, and that every one of these words was said.
pub(crate) async fn says(path: &Path, code: i32, words: &[&str]) -> Told {
    let told = validate(path).await;
    assert_eq!(told.code, code, "{told:?}");
    words.iter().for_each(|words| assert!(told.stdout.contains(words), "{words:?} is not in {told:?}"));
    told
}

#[tokio::test]
async fn a_whole_tape_is_whole_and_its_gaps_are_told() {
    let home = Home::new();
    let gap = "the recording says at record 22 that 3 frames are missing before it (queue_full)";
    let told = says(&home.tape("one"), WHOLE, &["one.tape: whole", gap, "1 message kept apart"]).await;
    assert!(told.stderr.is_empty(), "{told:?}");
}

#[tokio::test]
async fn a_tape_that_was_never_finished_is_incomplete() {
    let home = Home::new();
    says(&home.open_tape("open"), DAMAGED, &["open.tape: open", "never finished"]).await;
}

#[tokio::test]
async fn a_missing_segment_is_told_with_the_records_that_are_lost() {
    let home = Home::new();
    let path = home.tape("one");
    fs::remove_file(&segments(&path)[1]).expect("removed");
    says(
        &path,
        DAMAGED,
        &[
            "seg-000001.jsonl.zst: it is not there, and what it held is lost: 7 frames",
            "7 records before record 15 are missing",
            "seg-000001.jsonl.zst: 7 of 7 records are lost, from 8 to 14",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_flipped_bit_and_a_cut_file_are_told_with_their_places() {
    let home = Home::new();
    let flipped = home.tape("flipped");
    change(&segments(&flipped)[0], |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    says(
        &flipped,
        DAMAGED,
        &["seg-000000.jsonl.zst: it is not the file that was sealed", "seg-000000.jsonl.zst, bytes "],
    )
    .await;
    let cut = home.tape("cut");
    change(&segments(&cut)[0], |bytes| bytes.truncate(bytes.len() / 2));
    says(&cut, DAMAGED, &["seg-000000.jsonl.zst, bytes ", "cannot be unpacked"]).await;
    let empty = home.tape("empty");
    change(&segments(&empty)[0], Vec::clear);
    says(
        &empty,
        DAMAGED,
        &["it does not hold the records that the manifest lists", "7 of 7 records are lost, from 1 to 7"],
    )
    .await;
}

#[tokio::test]
async fn a_broken_chain_and_a_file_that_nobody_lists_are_told() {
    let home = Home::new();
    let path = home.tape("one");
    let spare = path.join("seg-000099.jsonl.zst");
    fs::copy(&segments(&path)[0], spare).expect("copied");
    let manifest = fs::read_to_string(path.join("manifest.json")).expect("a manifest");
    let chained = manifest.find("prev_blake3").expect("a chain") + "prev_blake3\": \"".len();
    let mut other = manifest.clone();
    other.replace_range(chained..chained + 4, "beef");
    fs::write(path.join("manifest.json"), other).expect("written");
    says(&path, DAMAGED, &["the chain is broken: segment 1", "seg-000099.jsonl.zst: the manifest does not list it"])
        .await;
}

#[tokio::test]
async fn a_missing_message_and_another_in_its_place_are_told() {
    let home = Home::new();
    for other in [None, Some("something else")] {
        let path = home.tape(other.unwrap_or("missing"));
        let blob = path.join("blobs").join(names(&path.join("blobs")).remove(0));
        match other {
            None => fs::remove_file(&blob).expect("removed"),
            Some(content) => fs::write(&blob, content).expect("written"),
        }
        says(&path, DAMAGED, &["the message of record 21"]).await;
    }
}

#[tokio::test]
async fn a_manifest_that_is_lost_or_none_leaves_what_the_segments_hold() {
    let home = Home::new();
    let path = home.tape("one");
    fs::write(path.join("manifest.json"), "{\"format\": [1, 0]").expect("written");
    let left = "its segments are read without the manifest";
    says(&path, DAMAGED, &["manifest.json: it is no manifest of a tape", left, "22 records read"]).await;
    fs::remove_file(path.join("manifest.json")).expect("removed");
    says(&path, DAMAGED, &["manifest.json: it is not there", left]).await;
    fs::create_dir(path.join("manifest.json")).expect("a directory");
    says(&path, DAMAGED, &["manifest.json: it is no file", left]).await;
}

#[tokio::test]
async fn what_a_newer_build_wrote_is_named_as_such() {
    let home = Home::new();
    let path = home.tape("one");
    let manifest = fs::read_to_string(path.join("manifest.json")).expect("a manifest");
    fs::write(path.join("manifest.json"), manifest.replacen("1,", "2,", 1)).expect("written");
    let words = "its format is 2.0, and this build reads 1: a newer Shadowcat reads it";
    says(&path, NEWER, &["one.tape: newer", words]).await;
    let shown = tape(&["show", path.to_str().expect("UTF-8")]).await;
    assert_eq!((shown.code, shown.stdout.as_str()), (NEWER, ""), "{shown:?}");
    assert!(shown.stderr.contains(words), "{shown:?}");

    let spool = home.spool("spool").stop();
    let newer = format!("{}-0000000001.jsonl", "ab".repeat(16));
    fs::write(spool.join(&newer), head((2, 0))).expect("written");
    says(&spool, NEWER, &["spool: newer", words, &newer]).await;
}

#[tokio::test]
async fn what_unpacks_to_too_much_is_refused_before_it_is_unpacked() {
    let home = Home::new();
    let path = home.tape("bomb");
    // A hundred MiB of spaces take four KiB.
    let bomb = zstd_of_spaces(100 << 20);
    fs::write(&segments(&path)[0], &bomb).expect("written");
    says(&path, DAMAGED, &["seg-000000.jsonl.zst: the segment unpacks to more than 16777216 bytes"]).await;
    let only = home.tape("only");
    segments(&only).iter().for_each(|segment| fs::write(segment, &bomb).expect("written"));
    let told = says(&only, DAMAGED, &["7 of 7 records are lost, from 8 to 14"]).await;
    assert_eq!(told.stdout.matches("unpacks to more").count(), segments(&only).len(), "each is told once: {told:?}");
    let spool = home.spool("spool").stop();
    fs::write(&segments(&spool)[0], &bomb).expect("written");
    says(&spool, DAMAGED, &["the segment unpacks to more than 67108864 bytes"]).await;
    let huge = home.tape("huge");
    File::create(&segments(&huge)[0])
        .and_then(|file| file.set_len(1 << 40))
        .expect("a file of a terabyte with no bytes");
    says(&huge, DAMAGED, &["seg-000000.jsonl.zst: more than 16777216 bytes"]).await;
}

#[tokio::test]
async fn what_is_no_file_is_never_opened() {
    let home = Home::new();
    for name in ["manifest.json", "seg-000000.jsonl.zst"] {
        let path = home.tape(&format!("pipe-{name}"));
        fs::remove_file(path.join(name)).expect("removed");
        let made = std::process::Command::new("mkfifo").arg(path.join(name)).status().expect("mkfifo runs");
        assert!(made.success());
        says(&path, DAMAGED, &[&format!("{name}: it is no file")]).await;
    }
    let path = home.tape("round");
    let round = path.join("seg-000000.jsonl.zst");
    fs::remove_file(&round).expect("removed");
    symlink(&round, &round).expect("a link to itself");
    says(&path, DAMAGED, &["seg-000000.jsonl.zst: Too many levels of symbolic links"]).await;
}

#[tokio::test]
async fn of_several_paths_each_is_judged_and_the_worst_is_the_exit_code() {
    let home = Home::new();
    let (whole, open, absent) = (home.tape("whole"), home.open_tape("open"), home.join("absent"));
    let text = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    let told = tape(&["validate", &text(&absent), &text(&open), &text(&whole)]).await;
    assert_eq!(told.code, DAMAGED, "{told:?}");
    assert!(told.stdout.contains("whole.tape: whole") && told.stderr.contains("absent: it is not there"), "{told:?}");
    let told = tape(&["validate", &text(&absent), &text(&whole)]).await;
    assert_eq!(told.code, UNUSABLE, "{told:?}");
    assert_eq!(tape(&["validate"]).await.code, UNUSABLE);
}
