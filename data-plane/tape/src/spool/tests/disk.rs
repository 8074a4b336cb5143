//! Failures of the disk that need no mount and no privilege: a directory that goes away, and Linux's devices in the
//! place of files.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use super::{Node, SEAL_BYTES, append, at, frames, gaps, read};
use crate::directory::TMP;
use crate::record::Kind;
use crate::spool::Writer;

#[test]
fn a_disk_that_goes_and_comes_back_costs_what_was_written_meanwhile_and_says_so_first() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 3);
    fs::remove_dir_all(node.path()).unwrap();
    writer.tick(at(2_000));
    append(&mut writer, 4);
    writer.tick(at(2_500));
    fs::create_dir(node.path()).unwrap();
    append(&mut writer, 1);
    assert!(node.files().is_empty(), "it is tried again after a second, not before");
    writer.tick(at(3_000));
    append(&mut writer, 2);
    assert_eq!(writer.end().frames_lost, 8);
    let told = read(&shelf);
    assert_eq!(told[..2].iter().map(|told| told.kind).collect::<Vec<_>>(), [Kind::Head, Kind::Clock]);
    let gaps = gaps(&told);
    assert!(gaps.iter().all(|gap| gap.why == "disk_failed"));
    assert_eq!(
        gaps.iter().map(|gap| (gap.segments, gap.frames)).collect::<Vec<_>>(),
        [(Some((1, 1)), Some(3)), (None, Some(5))]
    );
    assert_eq!(told[2..4].iter().map(|told| told.kind).collect::<Vec<_>>(), [Kind::Gap; 2]);
    assert_eq!(frames(&told), 2);
}

#[test]
fn a_segment_whose_fsync_fails_is_abandoned_and_its_gaps_are_told_again() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 3);
    writer.lost(9, "queue_full");
    // It takes every byte and cannot be synced.
    symlink("/dev/null", format!("{}{TMP}", node.sealed_file(1).display())).unwrap();
    writer.tick(at(2_000));
    assert!(shelf.oldest(1).is_empty() && node.files().is_empty());
    writer.tick(at(3_000));
    append(&mut writer, 1);
    writer.end();
    let told = read(&shelf);
    let gaps: Vec<_> = gaps(&told).into_iter().map(|gap| (gap.why, gap.frames, gap.segments)).collect();
    assert_eq!(gaps, [("queue_full".into(), Some(9), None), ("disk_failed".into(), Some(3), Some((1, 1)))]);
    assert_eq!(shelf.oldest(1)[0].id.sequence, 2);
}

#[test]
fn on_a_full_disk_the_oldest_segment_makes_room() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 3);
    writer.tick(at(2_000));
    append(&mut writer, 4);
    symlink("/dev/full", format!("{}{TMP}", node.sealed_file(2).display())).unwrap();
    writer.tick(at(4_000));
    let sealed = shelf.oldest(9);
    assert_eq!(sealed.iter().map(|sealed| (sealed.id.sequence, sealed.frames)).collect::<Vec<_>>(), [(2, 4)]);
    assert_eq!(writer.counts().segments_dropped, 1);
    writer.end();
    let gap = gaps(&read(&shelf)).remove(0);
    assert_eq!((gap.why.as_ref(), gap.segments, gap.frames), ("spool_full", Some((1, 1)), Some(3)));
}

#[test]
fn a_full_disk_with_nothing_to_drop_loses_the_segment_and_says_so() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 4);
    symlink("/dev/full", format!("{}{TMP}", node.sealed_file(1).display())).unwrap();
    writer.tick(at(2_000));
    writer.tick(at(3_000));
    assert_eq!(writer.end().frames_lost, 4);
    let gap = gaps(&read(&shelf)).remove(0);
    assert_eq!((gap.why.as_ref(), gap.segments, gap.frames), ("disk_failed", Some((1, 1)), Some(4)));
}

/// Something that takes so much room, on a disk that has none.
fn write_in_vain(writer: &mut Writer, bytes: u64) {
    let written = writer.with_room(bytes, |_| Err::<(), _>(io::ErrorKind::StorageFull.into()));
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_disk_that_others_keep_full_costs_one_segment_a_minute_and_no_more() {
    let mut node = Node::new();
    let (mut writer, _shelf, _) = node.boot();
    append(&mut writer, 2_000);
    // What a dropped segment leaves is gone at once.
    writer.free_bytes = |_| Ok(0);
    let dropped = [0, 1_000, 59_000, 60_000, 61_000, 120_000].map(|millis| {
        writer.now = at(millis);
        write_in_vain(&mut writer, 300);
        writer.counts().segments_dropped
    });
    assert_eq!(dropped, [1, 1, 1, 2, 2, 3]);
    writer.tick(at(121_000));
    append(&mut writer, 1);
    writer.tick(at(123_000));
    write_in_vain(&mut writer, 300);
    assert_eq!(writer.counts().segments_dropped, 4, "something was written meanwhile");
}

#[test]
fn nothing_is_dropped_for_what_would_find_no_room_all_the_same() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 2_000);
    writer.free_bytes = |_| Ok(0);
    let four: u64 = shelf.oldest(4).iter().map(|sealed| sealed.bytes).sum();
    write_in_vain(&mut writer, four + 1);
    assert_eq!(writer.counts().segments_dropped, 0);
    write_in_vain(&mut writer, four);
    assert_eq!(writer.counts().segments_dropped, 1);
}

#[test]
fn nothing_is_promised_without_room_nor_after_a_failure_until_a_segment_was_sealed() {
    let mut node = Node::new();
    let (mut writer, _shelf, _) = node.boot();
    writer.free_bytes = |_| Ok(16 * SEAL_BYTES as u64 - 1);
    writer.tick(at(0));
    assert!(!writer.can_promise() && writer.is_keeping());
    writer.free_bytes = |_| Ok(16 * SEAL_BYTES as u64);
    writer.tick(at(100));
    assert!(writer.can_promise());
    append(&mut writer, 1);
    for sequence in 1..=3 {
        symlink("/dev/full", format!("{}{TMP}", node.sealed_file(sequence).display())).unwrap();
    }
    let promises = (2_100..=6_000).step_by(100).map(|millis| {
        writer.tick(at(millis));
        append(&mut writer, 1);
        (millis, writer.can_promise())
    });
    let promised = promises.filter(|(_, can)| *can).map(|(millis, _)| millis).next();
    // It fails at 2.1, 3.1 and 4.1 s.
    assert_eq!(promised, Some(5_100));
}
