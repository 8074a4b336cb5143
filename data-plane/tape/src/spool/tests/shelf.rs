use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Node, append, at, frames, gaps, read};
use crate::spool::{Spool, SpoolError};

#[test]
fn segments_of_earlier_boots_come_first_and_are_listed_without_being_unpacked() {
    let mut node = Node::new();
    let mut last = Vec::new();
    for _ in 0..3 {
        let (mut writer, ..) = node.boot();
        append(&mut writer, 100);
        writer.end();
        last.push(node.instance());
    }
    let (_writer, shelf, recovery) = node.boot();
    let listed = shelf.oldest(usize::MAX);
    assert_eq!((recovery.found, recovery.mended), (listed.len() as u64, 0));
    let mut instances: Vec<_> = listed.iter().map(|sealed| sealed.id.instance.clone()).collect();
    instances.dedup();
    assert_eq!(instances, last);
    assert_eq!(listed.iter().map(|sealed| sealed.frames).sum::<u64>(), 300);
    assert!(listed.windows(2).all(|pair| pair[0].id.instance != pair[1].id.instance
        || (pair[0].id.sequence + 1, pair[0].last_seq + 1) == (pair[1].id.sequence, pair[1].first_seq)));
}

#[test]
fn what_was_sealed_is_told_and_what_was_taken_is_gone_for_good() {
    let mut node = Node::new();
    let told = Arc::new(AtomicU64::new(0));
    let mut settings = node.settings();
    let counter = Arc::clone(&told);
    settings.on_sealed = Some(Arc::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    }));
    let (mut writer, shelf, _) = node.boot_with(settings);
    append(&mut writer, 100);
    let sealed = writer.end().segments_sealed;
    assert_eq!(told.load(Ordering::SeqCst), sealed);
    let first = shelf.oldest(1).remove(0).id;
    shelf.remove(&first).unwrap();
    shelf.remove(&first).unwrap();
    assert_eq!(shelf.read(&first).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(shelf.oldest(usize::MAX).len() as u64, sealed - 1);
    drop(shelf);
    let (_writer, shelf, recovery) = node.boot();
    assert_eq!(recovery.found, sealed - 1);
    assert!(shelf.oldest(1)[0].id.sequence == 2);
}

#[test]
fn a_full_spool_drops_its_oldest_segments_and_says_which() {
    let mut node = Node::new();
    let mut settings = node.settings();
    settings.max_bytes = 64 * 1024;
    let (mut writer, shelf, _) = node.boot_with(settings);
    append(&mut writer, 2_000);
    let counts = writer.end();
    assert!(counts.segments_dropped > 10 && shelf.bytes() <= (64 + 16) * 1024);
    let told = read(&shelf);
    let gap = gaps(&told).pop().unwrap();
    let oldest = shelf.oldest(1).remove(0).id.sequence;
    assert_eq!((gap.why.as_ref(), gap.instance), ("spool_full", None));
    assert_eq!(gap.segments.unwrap().1, oldest - 1);
    assert_eq!(frames(&told) + counts.frames_dropped, 2_000);
}

#[test]
fn what_is_too_old_is_dropped_at_the_start_and_later_and_the_instance_is_named() {
    let mut node = Node::new();
    let (mut writer, ..) = node.boot();
    append(&mut writer, 100);
    let sealed = writer.end().segments_sealed;
    let earlier = node.instance();
    node.started.wall += 25 * 3_600 * 1_000_000_000;
    let (mut writer, shelf, _) = node.boot();
    assert!(shelf.oldest(1).is_empty());
    writer.tick(at(100));
    writer.tick(at(2_100));
    let gap = gaps(&read(&shelf)).remove(0);
    assert_eq!((gap.why.as_ref(), gap.instance.as_deref()), ("spool_old", Some(earlier.as_str())));
    assert_eq!((gap.segments, gap.frames), (Some((1, sealed)), Some(100)));
    assert_eq!(shelf.oldest_age(Duration::from_millis(3_100)), Some(Duration::from_secs(1)));
    writer.tick(at(2_100 + 24 * 3_600 * 1_000 + 1));
    assert!(shelf.oldest(9).iter().all(|sealed| sealed.id.sequence == 2));
}

#[test]
fn what_nobody_will_have_is_given_up_and_the_record_says_so() {
    let mut node = Node::new();
    let (mut writer, ..) = node.boot();
    append(&mut writer, 100);
    writer.end();
    let earlier = node.instance();
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 1);
    writer.tick(at(2_100));
    let (first, last) = (shelf.oldest(1).remove(0), shelf.oldest(usize::MAX).pop().unwrap());
    for segment in [&first, &last] {
        shelf.give_up(&segment.id).unwrap();
        shelf.give_up(&segment.id).unwrap();
    }
    writer.tick(at(2_200));
    let counts = writer.end();
    assert_eq!((counts.segments_dropped, counts.frames_dropped), (2, first.frames + 1));
    let told: Vec<_> = gaps(&read(&shelf)).into_iter().map(|gap| (gap.why, gap.instance, gap.segments)).collect();
    let refused = || "refused".into();
    assert_eq!(told, [(refused(), Some(earlier.into()), Some((1, 1))), (refused(), None, Some((1, 1)))]);
}

#[test]
fn a_directory_has_one_process_one_instance_and_room_for_two_segments() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 1);
    let settings = node.settings();
    let refused = Spool::open(settings.clone(), at(0)).unwrap_err();
    assert!(matches!(&refused, SpoolError::InUse { .. }), "{refused}");
    writer.end();
    drop(shelf);
    node.boots -= 2;
    let again = node.settings();
    assert!(matches!(Spool::open(again.clone(), at(0)).unwrap_err(), SpoolError::InstanceTaken { .. }));
    let mut small = settings.clone();
    small.max_bytes = 1_000;
    assert!(matches!(Spool::open(small, at(0)).unwrap_err(), SpoolError::TooSmall { least: 32_768, .. }));
    let mut strange = settings;
    strange.instance = "../../etc".into();
    assert!(matches!(Spool::open(strange, at(0)).unwrap_err(), SpoolError::Instance(_)));
}

#[test]
fn a_shipper_takes_segments_while_they_are_written_and_misses_none() {
    let mut node = Node::new();
    let (sealed, is_sealed) = std::sync::mpsc::sync_channel(1_024);
    let mut settings = node.settings();
    let told = sealed.clone();
    settings.on_sealed = Some(Arc::new(move || told.try_send(true).expect("there is room for every segment")));
    let (mut writer, shelf, _) = node.boot_with(settings);
    let shipper = std::thread::spawn({
        let shelf = Arc::clone(&shelf);
        move || {
            let mut sequences = Vec::new();
            for goes_on in is_sealed {
                for sealed in shelf.oldest(usize::MAX) {
                    assert!(!shelf.read(&sealed.id).unwrap().is_empty());
                    shelf.remove(&sealed.id).unwrap();
                    sequences.push(sealed.id.sequence);
                }
                if !goes_on {
                    break;
                }
            }
            sequences
        }
    });
    append(&mut writer, 2_000);
    let count = writer.end().segments_sealed;
    sealed.send(false).unwrap();
    assert_eq!(shipper.join().unwrap(), (1..=count).collect::<Vec<_>>());
    assert!(shelf.bytes() == 0 && node.files().is_empty());
}
