//! Segments that cannot be read or removed: a link that leads to itself can be removed and not read, a directory neither.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Node, append, at, frames, gaps, read};
use crate::spool::{Shelf, Writer};

/// Milliseconds after which what made trouble is tried again.
const AGAIN: u64 = 10_000;

fn make_unreadable(file: &Path) {
    fs::remove_file(file).unwrap();
    symlink(file, file).unwrap();
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
fn segments_that_cannot_be_read_hide_no_other_and_are_set_aside_in_the_end() {
    let mut node = Node::new();
    let (mut writer, shelf) = recorded(&mut node);
    let lost: u64 = shelf.oldest(16).iter().map(|sealed| sealed.frames).sum();
    (1..=16).for_each(|sequence| make_unreadable(&node.sealed_file(sequence)));
    for round in 0..4 {
        assert_eq!(offer(&shelf, 16), [0; 0], "{round}: they are tried");
        assert_eq!(offer(&shelf, 16), (17..=32).collect::<Vec<_>>(), "{round}: the others come after them");
        writer.tick(at((round + 1) * AGAIN));
    }
    assert_eq!(offer(&shelf, 16), (17..=32).collect::<Vec<_>>(), "they are not tried any more");
    let counts = writer.end();
    assert_eq!((counts.segments_set_aside, counts.segments_dropped, aside(&node)), (16, 0, 16));
    let told = read(&shelf);
    let gap = gaps(&told).remove(0);
    assert_eq!((gap.why.as_ref(), gap.segments, gap.frames), ("unreadable", Some((1, 16)), Some(lost)));
    assert_eq!(frames(&told) + lost, 2_000);
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

#[test]
fn of_what_is_set_aside_sixteen_are_kept_whichever_boot_it_was() {
    let mut node = Node::new();
    let (mut writer, shelf) = recorded(&mut node);
    (1..=10).for_each(|sequence| make_unreadable(&node.sealed_file(sequence)));
    for round in 1..=4 {
        offer(&shelf, 10);
        writer.tick(at(round * AGAIN));
    }
    assert_eq!(writer.end().segments_set_aside, 10);
    (11..=20).for_each(|sequence| make_unreadable(&node.sealed_file(sequence)));
    drop(shelf);
    let earlier = node.instance();
    let (mut writer, shelf, recovery) = node.boot();
    assert_eq!((recovery.set_aside, recovery.left, shelf.oldest(1)[0].id.sequence), (10, 0, 21));
    writer.tick(at(1));
    writer.end();
    let gap = gaps(&read(&shelf)).pop().unwrap();
    assert_eq!((gap.why.as_ref(), gap.segments, gap.instance), ("unreadable", Some((11, 20)), Some(earlier.into())));
    assert_eq!(aside(&node), 16);
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
