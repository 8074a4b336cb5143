//! Segments that cannot be read or removed: a link that leads to itself can be removed and not read, a directory neither.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::{Node, WALL, append, at, frames, gaps, read};
use crate::spool::{Recovery, Shelf, Writer};

/// Milliseconds after which what made trouble is tried again.
const AGAIN: u64 = 10_000;

fn make_unreadable(file: &Path) {
    fs::remove_file(file).unwrap();
    symlink(file, file).unwrap();
}

/// As if the disk did not give it.
fn hide(file: &Path) {
    fs::rename(file, file.with_added_extension("away")).unwrap();
    symlink(file, file).unwrap();
}

fn show(file: &Path) {
    fs::rename(file.with_added_extension("away"), file).unwrap();
}

/// What cannot be read is as old as its file, and the clock of the files is none that the tests turn.
fn boot_patiently(node: &mut Node) -> (Writer, Arc<Shelf>, Recovery) {
    let mut settings = node.settings();
    settings.max_age = Duration::MAX;
    node.boot_with(settings)
}

fn make_irremovable(file: &Path) {
    fs::remove_file(file).unwrap();
    fs::create_dir(file).unwrap();
}

/// Reads what a shipper would offer: the numbers of the segments that can be.
fn offer(shelf: &Shelf, count: usize) -> Vec<u64> {
    let offered = shelf.oldest(count).into_iter().filter(|sealed| shelf.read(&sealed.id).is_ok());
    offered.map(|sealed| sealed.id.sequence).collect()
}

fn aside(node: &Node) -> usize {
    node.files().iter().filter(|name| name.ends_with(".unreadable")).count()
}

/// A node with more than thirty segments on its shelf.
fn recorded(node: &mut Node) -> (Writer, Arc<Shelf>) {
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 2_000);
    assert!(shelf.oldest(usize::MAX).len() > 30);
    (writer, shelf)
}

#[test]
fn segments_that_cannot_be_read_hide_no_other_and_a_few_are_set_aside_in_the_end() {
    let mut node = Node::new();
    let (mut writer, shelf) = recorded(&mut node);
    let lost: u64 = shelf.oldest(4).iter().map(|sealed| sealed.frames).sum();
    (1..=4).for_each(|sequence| make_unreadable(&node.sealed_file(sequence)));
    for round in 0..4 {
        assert_eq!(offer(&shelf, 4), [0; 0], "{round}: they are tried");
        assert_eq!(offer(&shelf, 4), [5, 6, 7, 8], "{round}: the others come after them");
        writer.tick(at((round + 1) * AGAIN));
    }
    assert_eq!(offer(&shelf, 4), [5, 6, 7, 8], "they are not tried any more");
    let counts = writer.end();
    assert_eq!((counts.segments_set_aside, counts.segments_dropped, aside(&node)), (4, 0, 4));
    let told = read(&shelf);
    let gap = gaps(&told).remove(0);
    assert_eq!((gap.why.as_ref(), gap.segments, gap.frames), ("unreadable", Some((1, 4)), Some(lost)));
    assert_eq!(frames(&told) + lost, 2_000);
}

#[test]
fn of_segments_that_fail_together_none_is_set_aside() {
    let mut node = Node::new();
    let (mut writer, shelf) = recorded(&mut node);
    (1..=5).for_each(|sequence| hide(&node.sealed_file(sequence)));
    for round in 1..=8 {
        assert_eq!((offer(&shelf, 5), offer(&shelf, 2)), (vec![], vec![6, 7]));
        writer.tick(at(round * AGAIN));
    }
    (1..=5).for_each(|sequence| show(&node.sealed_file(sequence)));
    assert_eq!(offer(&shelf, 6), [1, 2, 3, 4, 5, 6]);
    assert_eq!((writer.end().segments_set_aside, aside(&node)), (0, 0));
}

#[test]
fn a_start_that_can_read_nothing_keeps_everything() {
    let mut node = Node::new();
    let (writer, shelf) = recorded(&mut node);
    writer.end();
    let files: Vec<_> = shelf.oldest(usize::MAX).iter().map(|sealed| node.sealed_file(sealed.id.sequence)).collect();
    drop(shelf);
    files.iter().for_each(|file| hide(file));
    let (mut writer, shelf, recovery) = boot_patiently(&mut node);
    assert_eq!((recovery.unread, recovery.left, recovery.removed), (files.len() as u64, 0, 0));
    assert!(shelf.is_empty() && shelf.oldest(1).is_empty(), "none is offered before it is tried again");
    files.iter().for_each(|file| show(file));
    writer.tick(at(AGAIN));
    assert_eq!(offer(&shelf, usize::MAX), (1..=files.len() as u64).collect::<Vec<_>>());
    let told = read(&shelf);
    assert_eq!((frames(&told), gaps(&told), aside(&node)), (2_000, vec![], 0));
    let counts = writer.end();
    assert_eq!((counts.segments_set_aside, counts.segments_dropped), (0, 0));
}

#[test]
fn a_segment_that_can_be_read_again_is_offered_again_and_the_shipper_is_told() {
    let mut node = Node::new();
    let told = Arc::new(AtomicU64::new(0));
    let (mut settings, counter) = (node.settings(), Arc::clone(&told));
    settings.on_sealed = Some(Arc::new(move || _ = counter.fetch_add(1, Ordering::SeqCst)));
    let (mut writer, shelf, _) = node.boot_with(settings);
    append(&mut writer, 200);
    let (file, away) = (node.sealed_file(1), node.path().join("away"));
    fs::rename(&file, &away).unwrap();
    assert!(!offer(&shelf, 2).contains(&1) && !offer(&shelf, 2).contains(&1));
    fs::rename(&away, &file).unwrap();
    let before = told.load(Ordering::SeqCst);
    // Sealed now, so that what is told below is something else.
    writer.tick(at(2_000));
    assert_eq!(told.load(Ordering::SeqCst), before + 1);
    writer.tick(at(AGAIN));
    assert_eq!((told.load(Ordering::SeqCst), offer(&shelf, 1)), (before + 2, vec![1]));
    assert_eq!(writer.end().segments_set_aside, 0);
}

#[test]
fn a_directory_that_is_away_makes_no_segment_unreadable() {
    let mut node = Node::new();
    let (mut writer, shelf) = recorded(&mut node);
    let away = node.path().with_extension("away");
    writer.tick(at(2_000));
    fs::rename(node.path(), &away).unwrap();
    for round in 1..=8 {
        assert_eq!(offer(&shelf, 4), [0; 0]);
        writer.tick(at(round * AGAIN));
    }
    fs::rename(&away, node.path()).unwrap();
    writer.tick(at(9 * AGAIN));
    assert_eq!(offer(&shelf, 4), [1, 2, 3, 4]);
    assert_eq!(writer.end().segments_set_aside, 0);
}

/// Lets some segments fail until they are set aside, if they may be; the round that comes next.
fn fail((writer, shelf): (&mut Writer, &Shelf), count: usize, round: u64) -> u64 {
    for round in round..round + 4 {
        offer(shelf, count);
        writer.tick(at(round * AGAIN));
    }
    round + 4
}

#[test]
fn with_sixteen_set_aside_further_ones_keep_their_names_and_rest_whichever_boot_it_is() {
    let mut node = Node::new();
    let (mut writer, shelf) = recorded(&mut node);
    let mut round = 1;
    for first in [1, 5, 9, 13, 17] {
        (first..first + 4).for_each(|sequence| make_unreadable(&node.sealed_file(sequence)));
        round = fail((&mut writer, &shelf), 4, round);
    }
    assert_eq!((offer(&shelf, 4), offer(&shelf, 1)), (vec![], vec![21]));
    assert_eq!((writer.end().segments_set_aside, aside(&node)), (16, 16));
    drop(shelf);
    let rest: Vec<_> = (17..=20).map(|sequence| node.sealed_file(sequence)).collect();
    let (mut writer, shelf, recovery) = boot_patiently(&mut node);
    assert_eq!((recovery.unread, recovery.aside, recovery.removed), (4, 16, 0));
    fail((&mut writer, &shelf), 4, 1);
    assert_eq!((writer.end().segments_set_aside, aside(&node)), (0, 16));
    assert!(rest.iter().all(|file| file.is_symlink()));
}

#[test]
fn a_segment_that_cannot_be_set_aside_waits_on() {
    let mut node = Node::new();
    let (mut writer, shelf) = recorded(&mut node);
    let (file, bytes) = (node.sealed_file(1), shelf.bytes());
    let name = file.with_added_extension("unreadable");
    make_unreadable(&file);
    fs::create_dir(&name).unwrap();
    let round = fail((&mut writer, &shelf), 1, 1);
    assert_eq!((writer.counts().segments_set_aside, file.is_symlink()), (0, true));
    assert!(shelf.bytes() >= bytes);
    fs::remove_dir(name).unwrap();
    fail((&mut writer, &shelf), 1, round);
    assert_eq!((writer.end().segments_set_aside, aside(&node)), (1, 1));
}

#[test]
fn what_was_set_aside_is_the_first_to_go_when_the_spool_is_full_and_its_frames_count_once() {
    let mut node = Node::new();
    let mut settings = node.settings();
    settings.max_bytes = 64 * 1024;
    let (mut writer, shelf, _) = node.boot_with(settings);
    append(&mut writer, 150);
    make_unreadable(&node.sealed_file(2));
    let lost = shelf.oldest(2)[1].frames;
    fail((&mut writer, &shelf), 2, 1);
    let counts = writer.counts();
    assert_eq!((counts.segments_set_aside, counts.segments_dropped, aside(&node)), (1, 0, 1));
    while writer.counts().segments_dropped == 0 {
        append(&mut writer, 1);
    }
    assert_eq!((shelf.oldest(1)[0].id.sequence, aside(&node)), (1, 0));
    assert_eq!(writer.end().frames_dropped, lost);
    let told: Vec<_> = gaps(&read(&shelf)).into_iter().map(|gap| (gap.why, gap.segments, gap.frames)).collect();
    let of_two = |why: &'static str, frames| (why.into(), Some((2, 2)), Some(frames));
    assert_eq!(told, [of_two("unreadable", lost), of_two("spool_full", 0)]);
}

#[test]
fn what_was_set_aside_is_not_kept_for_longer_than_other_traffic() {
    const HOUR: u64 = 3_600;
    let mut node = Node::new();
    drop(node.boot());
    let earlier = node.instance();
    for (sequence, hours) in [(1, 25), (2, 23)] {
        let file = fs::File::create(node.sealed_file(sequence).with_added_extension("unreadable")).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_nanos(WALL) - Duration::from_secs(hours * HOUR)).unwrap();
    }
    let (mut writer, shelf, recovery) = node.boot();
    assert_eq!((recovery.aside, writer.counts().segments_dropped, aside(&node)), (2, 1, 1));
    writer.tick(at(1));
    writer.tick(at(2 * HOUR * 1_000));
    writer.end();
    assert_eq!(aside(&node), 0);
    let told: Vec<_> = gaps(&read(&shelf)).into_iter().map(|gap| (gap.why, gap.instance, gap.segments)).collect();
    let old = |sequence| ("spool_old".into(), Some(earlier.clone().into()), Some((sequence, sequence)));
    assert_eq!(told, [old(1), old(2)]);
}

#[test]
fn a_segment_that_was_taken_and_cannot_be_removed_is_not_offered_again() {
    let mut node = Node::new();
    let (mut writer, shelf) = recorded(&mut node);
    writer.tick(at(2_000));
    let (first, bytes) = (shelf.oldest(1).remove(0), shelf.bytes());
    make_irremovable(&node.sealed_file(1));
    shelf.remove(&first.id).unwrap_err();
    assert_eq!((shelf.oldest(1)[0].id.sequence, shelf.bytes()), (2, bytes), "its bytes are still on the disk");
    shelf.remove(&first.id).unwrap();
    writer.tick(at(AGAIN));
    assert_eq!(shelf.bytes(), bytes);
    fs::remove_dir(node.sealed_file(1)).unwrap();
    writer.tick(at(2 * AGAIN));
    assert_eq!((shelf.oldest(1)[0].id.sequence, shelf.bytes()), (2, bytes - first.bytes));
    assert_eq!(writer.end().frames_dropped, 0, "nothing of it is missing");
}

#[test]
fn what_cannot_be_dropped_is_passed_over() {
    let mut node = Node::new();
    let mut settings = node.settings();
    settings.max_bytes = 64 * 1024;
    let (mut writer, shelf, _) = node.boot_with(settings);
    append(&mut writer, 100);
    make_irremovable(&node.sealed_file(1));
    append(&mut writer, 2_000);
    assert!(shelf.bytes() <= (64 + 16) * 1024);
    assert_eq!(shelf.oldest(1)[0].id.sequence, 1);
    assert!(writer.counts().segments_dropped > 10);
}

#[test]
fn nothing_goes_for_the_age_of_a_segment_that_cannot_be_dropped() {
    const HOUR: u64 = 3_600 * 1_000;
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 1);
    writer.tick(at(2_000));
    make_irremovable(&node.sealed_file(1));
    writer.tick(at(20 * HOUR));
    append(&mut writer, 1);
    writer.tick(at(21 * HOUR));
    writer.tick(at(25 * HOUR));
    assert_eq!(shelf.oldest(9).iter().map(|sealed| sealed.id.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(writer.counts().segments_dropped, 0);
}
