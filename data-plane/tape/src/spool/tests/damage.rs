use std::fs;

use super::{Node, append, at, frames, gaps, read};
use crate::record::{Gap, Kind, Record};
use crate::testing::{line_of, seeded};

/// A node that died with these many messages in its open segment.
fn crashed(messages: u64) -> Node {
    let mut node = Node::new();
    let (mut writer, ..) = node.boot();
    append(&mut writer, messages);
    writer.flush();
    node
}

#[test]
fn what_a_crash_left_open_is_sealed_under_its_own_name_and_told() {
    let mut node = crashed(5);
    let earlier = node.instance();
    fs::write(node.path().join(format!("{}.tmp", node.sealed_file(9).file_name().unwrap().display())), "x").unwrap();
    let (_writer, shelf, recovery) = node.boot();
    assert_eq!((recovery.mended, recovery.records, recovery.removed, recovery.left), (1, 7, 1, 0));
    let told = read(&shelf);
    assert_eq!(frames(&told), 5);
    assert_eq!(told.last().unwrap().seq, 8);
    assert_eq!(gaps(&told), [Gap { why: "crash".into(), ..Gap::default() }]);
    assert_eq!(shelf.oldest(1)[0].id.instance, earlier);
    assert_eq!(node.files().len(), 1);
}

#[test]
fn a_torn_end_is_cut_off_and_its_bytes_are_told() {
    let mut node = crashed(5);
    let mut bytes = fs::read(node.open_file(1)).unwrap();
    bytes.truncate(bytes.len() - 10);
    fs::write(node.open_file(1), &bytes).unwrap();
    let (_writer, shelf, recovery) = node.boot();
    let told = read(&shelf);
    assert_eq!((frames(&told), told.last().unwrap().seq), (4, 7));
    assert_eq!(gaps(&told)[0].bytes, Some(recovery.torn_bytes));
    assert!(recovery.torn_bytes > 300);
}

#[test]
fn a_corrupt_line_is_a_gap_in_its_place_that_counts_the_frames() {
    let mut node = crashed(5);
    let mut bytes = fs::read(node.open_file(1)).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 0x20;
    fs::write(node.open_file(1), &bytes).unwrap();
    let (writer, shelf, recovery) = node.boot();
    let told = read(&shelf);
    assert_eq!((recovery.missing, writer.counts().frames_lost, frames(&told)), (1, 1, 4));
    assert_eq!(told.iter().map(|told| told.seq).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    let corrupt = told.iter().position(|told| told.gap.is_some()).unwrap();
    let gap = gaps(&told).remove(0);
    assert_eq!((gap.why.as_ref(), gap.frames, gap.bytes), ("corrupt", Some(1), Some(recovery.corrupt_bytes)));
    assert!((2..7).contains(&corrupt));
}

#[test]
fn a_lost_head_is_written_anew_with_the_clock_that_is_known() {
    let mut node = crashed(2);
    let mut bytes = fs::read(node.open_file(1)).unwrap();
    bytes[5] ^= 1;
    fs::write(node.open_file(1), &bytes).unwrap();
    let (_writer, shelf, _) = node.boot();
    let told = read(&shelf);
    assert_eq!((told[0].kind, told[0].seq, told[1].kind), (Kind::Head, 1, Kind::Clock));
    assert_eq!(gaps(&told).iter().map(|gap| gap.why.clone()).collect::<Vec<_>>(), ["corrupt", "crash"]);
}

#[test]
fn a_segment_of_which_nothing_is_left_is_told_by_the_next_instance() {
    let mut node = crashed(2);
    fs::write(node.open_file(1), "not a record").unwrap();
    let earlier = node.instance();
    let (mut writer, shelf, recovery) = node.boot();
    assert_eq!((recovery.mended, recovery.removed), (0, 1));
    writer.tick(at(1));
    writer.end();
    let gap = gaps(&read(&shelf)).remove(0);
    assert_eq!((gap.instance.as_deref(), gap.segments, gap.bytes), (Some(earlier.as_str()), Some((1, 1)), Some(12)));
}

#[test]
fn what_has_ended_in_order_is_no_crash() {
    let mut node = crashed(2);
    let mut bytes = fs::read(node.open_file(1)).unwrap();
    bytes.extend(line_of(&Record { k: Kind::End, seq: 5, ..Record::default() }));
    fs::write(node.open_file(1), &bytes).unwrap();
    let (_writer, shelf, _) = node.boot();
    assert!(gaps(&read(&shelf)).is_empty());
}

#[test]
fn a_segment_of_a_newer_format_stays_as_it_is() {
    let mut node = crashed(1);
    let mut newer = br#"{"k":"head","seq":1,"t":0,"head":{"format":[2,0]}"#.to_vec();
    crate::line::seal(0, &mut newer);
    fs::write(node.open_file(1), &newer).unwrap();
    let file = node.open_file(1);
    let (_writer, shelf, recovery) = node.boot();
    assert_eq!((recovery.left, shelf.oldest(9).len()), (1, 0));
    assert_eq!(fs::read(file).unwrap(), newer);
}

#[test]
fn a_plain_file_beside_its_sealed_one_and_a_blob_without_a_segment_are_removed() {
    let mut node = crashed(2);
    let plain = fs::read(node.open_file(1)).unwrap();
    let (open, hash) = (node.open_file(1), "0".repeat(64));
    let blob = node.path().join(format!("{}-0000000009.{hash}.blob.zst", node.instance()));
    drop(node.boot());
    fs::write(&open, plain).unwrap();
    fs::write(&blob, "x").unwrap();
    fs::write(node.path().join("README"), "mine").unwrap();
    let (_writer, _shelf, recovery) = node.boot();
    assert_eq!((recovery.found, recovery.removed, recovery.mended), (1, 2, 0));
    assert_eq!(node.files().len(), 2);
}

#[test]
fn whatever_two_hundred_flipped_bytes_and_two_hundred_cuts_hit_the_spool_opens_and_counts() {
    let mut random = seeded(23);
    for round in 0..400 {
        let mut node = crashed(100);
        let file = node.path().join(&node.files()[random() as usize % node.files().len()]);
        let mut bytes = fs::read(&file).unwrap();
        let place = random() as usize % bytes.len();
        if round % 2 == 0 {
            bytes[place] ^= 1 << (random() % 8);
        } else {
            bytes.truncate(place);
        }
        fs::write(&file, &bytes).unwrap();
        let (mut writer, shelf, recovery) = node.boot();
        append(&mut writer, 1);
        writer.end();
        assert_eq!(recovery.left, 0);
        let told = read(&shelf);
        let kept = frames(&told);
        // A segment of these tests holds 50 messages, and one file was hit.
        assert!((40..=101).contains(&kept), "{round}: {kept} in {}", file.display());
        assert!(kept == 101 || !gaps(&told).is_empty() || file.extension().unwrap() == "zst");
    }
}
