use super::{Node, SEAL_BYTES, WALL, append, at, frames, gaps, read};
use crate::blob;
use crate::line::{LINE_BYTES_MAX, Message};
use crate::record::{Gap, Kind, Record};
use crate::segment::{FRAME_PLAIN_BYTES, Found, Scan, unseal};

#[test]
fn every_segment_begins_with_a_head_and_a_clock_and_seq_is_dense_over_all() {
    let mut node = Node::new();
    let (mut writer, shelf, recovery) = node.boot();
    assert_eq!(recovery, super::Recovery::default());
    append(&mut writer, 200);
    let counts = writer.end();
    let told = read(&shelf);
    assert!(counts.segments_sealed > 3);
    assert_eq!(told.iter().map(|told| told.seq).collect::<Vec<_>>(), (1..=told.len() as u64).collect::<Vec<_>>());
    assert_eq!(frames(&told), 200);
    assert_eq!(told.last().unwrap().kind, Kind::End);
    for sealed in shelf.oldest(usize::MAX) {
        let first = usize::try_from(sealed.first_seq).unwrap() - 1;
        assert_eq!((told[first].kind, told[first + 1].kind), (Kind::Head, Kind::Clock));
        let unsealed = unseal(&shelf.read(&sealed.id).unwrap(), super::ENOUGH).unwrap();
        assert!(unsealed.plain.len() < SEAL_BYTES + 1024);
        assert_eq!(unsealed.contents.unwrap().last_seq, sealed.last_seq);
    }
}

#[test]
fn a_head_says_who_recorded_and_when_its_clock_began() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    writer.tick(at(1_500));
    append(&mut writer, 1);
    writer.end();
    let plain = unseal(&shelf.read(&shelf.oldest(1)[0].id).unwrap(), super::ENOUGH).unwrap().plain;
    let records: Vec<_> = Scan::new(&plain)
        .map(|found| match found.unwrap() {
            Found::Record(line) => line.record,
            damage => panic!("{damage:?}"),
        })
        .collect();
    let head = records[0].head.as_ref().unwrap();
    assert_eq!((head.format, head.segment, head.clock), ((1, 0), 1, WALL));
    assert_eq!((head.instance.as_ref(), head.node.as_ref()), (node.instance().as_str(), "node-1"));
    assert_eq!((head.redaction_key.as_ref(), head.created_by.as_ref()), ("00112233", "shadowcat 0.1.0"));
    assert_eq!((records[1].t, records[1].clock), (1_500_000, Some(WALL + 1_500_000_000)));
}

#[test]
fn a_segment_is_sealed_two_seconds_after_it_was_opened() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    writer.tick(at(1_000));
    append(&mut writer, 1);
    writer.tick(at(2_999));
    assert!(shelf.oldest(1).is_empty());
    writer.tick(at(3_000));
    assert_eq!(shelf.oldest(1)[0].frames, 1);
    writer.tick(at(10_000));
    assert_eq!(shelf.oldest(9).len(), 1);
    assert_eq!(node.files().len(), 1);
}

#[test]
fn nothing_recorded_leaves_nothing_behind() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    writer.tick(at(100_000));
    writer.flush();
    writer.lost(0, "queue_full");
    writer.end();
    assert!(node.files().is_empty() && shelf.oldest(1).is_empty());
}

#[test]
fn a_segment_that_stays_open_has_a_clock_every_minute() {
    let mut node = Node::new();
    let mut settings = node.settings();
    settings.seal_after = std::time::Duration::from_secs(3_600);
    let (mut writer, shelf, _) = node.boot_with(settings);
    append(&mut writer, 1);
    for second in 0..=180 {
        writer.tick(at(second * 1_000));
    }
    writer.end();
    assert_eq!(read(&shelf).iter().filter(|told| told.kind == Kind::Clock).count(), 4);
}

#[test]
fn what_is_flushed_is_in_the_file_and_what_waits_is_bounded() {
    let mut node = Node::new();
    let mut settings = node.settings();
    settings.seal_bytes = 4 << 20;
    let (mut writer, _shelf, _) = node.boot_with(settings);
    append(&mut writer, 1);
    let bytes = || std::fs::metadata(node.open_file(1)).unwrap().len();
    assert_eq!(bytes(), 0);
    writer.flush();
    assert!(bytes() > 300);
    append(&mut writer, 1_000);
    assert!(bytes() > 256 * 1024);
}

#[test]
fn frames_that_never_came_are_told_where_they_are_missing() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    append(&mut writer, 1);
    writer.lost(17, "queue_full");
    append(&mut writer, 1);
    writer.end();
    let told = read(&shelf);
    assert_eq!(told[3].gap, Some(Gap { why: "queue_full".into(), frames: Some(17), ..Gap::default() }));
    assert_eq!(told[4].kind, Kind::Msg);
}

#[test]
fn a_large_message_is_kept_apart_once_for_each_content() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    let image = format!(r#"{{"data":"{}"}}"#, "QUJD".repeat(30_000));
    for _ in 0..3 {
        writer.append(Record::default(), Some(Message::of(image.as_bytes())));
    }
    writer.append(Record::default(), Some(Message::bytes(&[7; 70_000])));
    writer.end();
    let sealed = &shelf.oldest(1)[0];
    assert_eq!((sealed.blobs.len(), sealed.frames), (2, 4));
    let hash = blob::hash(image.as_bytes());
    let packed = shelf.read_blob(&sealed.id, &hash).unwrap();
    assert_eq!(blob::unpack(&packed, &hash).unwrap(), image.as_bytes());
    assert!(blob::unpack(&packed, &blob::hash(b"other")).unwrap_err().to_string().contains("something whose BLAKE3"));
    assert!(shelf.read_blob(&sealed.id, "../../etc/passwd").is_err());
    assert_eq!(shelf.bytes(), sealed.bytes + sealed.blobs.iter().map(|blob| blob.bytes).sum::<u64>());
    shelf.remove(&sealed.id).unwrap();
    assert!(node.files().is_empty() && shelf.bytes() == 0);
}

#[test]
fn a_record_that_no_reader_would_take_is_a_gap() {
    let mut node = Node::new();
    let (mut writer, shelf, _) = node.boot();
    let text = "x".repeat(LINE_BYTES_MAX);
    let seq = writer.append(Record { k: Kind::Stderr, text: Some(text.into()), ..Record::default() }, None);
    assert_eq!(writer.append(Record::default(), None), seq + 2);
    assert_eq!(writer.end().frames_lost, 1);
    let gaps = gaps(&read(&shelf));
    assert_eq!((gaps[0].why.as_ref(), gaps[0].frames), ("too_large", Some(1)));
}

#[test]
fn a_segment_of_several_frames_holds_every_line_that_was_taken() {
    let mut node = Node::new();
    let mut settings = node.settings();
    settings.seal_bytes = 1024 * 1024;
    let (mut writer, shelf, _) = node.boot_with(settings);
    append(&mut writer, 1_200);
    let long = "x".repeat(LINE_BYTES_MAX);
    writer.append(Record { k: Kind::Mark, text: Some(long.into()), ..Record::default() }, None);
    append(&mut writer, 1_200);
    writer.rekey("44556677".to_owned());
    assert_eq!(shelf.oldest(9).len(), 1, "the open segment was sealed for its key, and none for its size");
    let plain = unseal(&shelf.read(&shelf.oldest(1)[0].id).unwrap(), super::ENOUGH).unwrap().plain;
    assert!(plain.len() > 3 * FRAME_PLAIN_BYTES, "{}", plain.len());
    assert_eq!(writer.end().frames_lost, 1);
    let told = read(&shelf);
    assert_eq!((frames(&told), gaps(&told)[0].why.as_ref()), (2_400, "too_large"));
}
