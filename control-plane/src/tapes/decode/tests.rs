use serde_json::value::RawValue;
use shadowcat_tape::line::encode;
use shadowcat_tape::record::{Direction, Gap, Head, Kind, Outcome, Record, Stage};
use shadowcat_tape::segment::seal;

use super::super::index::codes;
use super::*;

const INSTANCE: &str = "0123456789abcdef0123456789abcdef";

fn shipped(first_record: u64, last_record: u64) -> Shipped {
    Shipped {
        fleet: "default".to_owned(),
        node: "edge-1".to_owned(),
        instance: INSTANCE.to_owned(),
        sequence: 1,
        digest: [0xab; 32],
        first_record,
        last_record,
        messages: Vec::new(),
        spoiled: Vec::new(),
        at: 7,
    }
}

fn head() -> Record<'static> {
    let head = Head {
        format: (1, 0),
        instance: INSTANCE.into(),
        segment: 1,
        node: "edge-1".into(),
        clock: 1_000_000_000,
        ..Head::default()
    };
    Record { k: Kind::Head, seq: 1, head: Some(head), ..Record::default() }
}

fn plain(records: &[Record<'_>]) -> Vec<Vec<u8>> {
    let line = |record: &Record<'_>| {
        let mut line = Vec::new();
        encode(record, &mut line);
        line
    };
    records.iter().map(line).collect()
}

fn sealed(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    seal(&lines.concat(), &mut out).unwrap();
    out
}

fn request(seq: u64, id: &RawValue) -> Record<'_> {
    Record {
        seq,
        t: seq * 10,
        dir: Some(Direction::C2s),
        tape: Some("3f9a21c0".into()),
        op: Some(seq),
        id: Some(id),
        m: Some("tools/call".into()),
        name: Some("search".into()),
        session: Some("3f9a21c0".into()),
        sz: Some(100),
        ..Record::default()
    }
}

fn answer(seq: u64, re: u64, out: Outcome) -> Record<'static> {
    Record {
        seq,
        t: seq * 10,
        dir: Some(Direction::S2c),
        tape: Some("3f9a21c0".into()),
        op: Some(re),
        m: Some("tools/call".into()),
        name: Some("search".into()),
        re: Some(re),
        lat: Some(10),
        out: Some(out),
        sz: Some(50),
        tp: Some("00112233445566778899aabbccddeeff".into()),
        ..Record::default()
    }
}

fn id() -> Box<RawValue> {
    RawValue::from_string("1".to_owned()).unwrap()
}

#[test]
fn a_call_is_two_rows_of_one_tape_that_counts_it_once() {
    let id = id();
    let lines = plain(&[head(), request(2, &id), answer(3, 2, Outcome::ToolError)]);
    let rows = decode(&sealed(&lines), &shipped(1, 3));
    assert_eq!((rows.frames.len(), rows.gaps.len(), rows.lost_bytes), (2, 0, 0));
    assert!(rows.unanswered.is_empty() && rows.answered.is_empty());
    let tape = &rows.tapes[0];
    assert_eq!((&*tape.id, tape.frames, tape.calls, tape.errors, tape.bytes), ("3f9a21c0", 2, 1, 1, 150));
    assert_eq!((rows.first_at, rows.last_at), (1_000_020, 1_000_030));
    let answer = &rows.frames[1];
    assert_eq!(answer.outcome, Some(codes::outcome(Outcome::ToolError)));
    assert_eq!(rows.words[answer.name.unwrap() as usize], "search");
    assert_eq!(answer.trace.unwrap()[..3], [0x00, 0x11, 0x22]);
    assert_eq!(answer.place, (lines[0].len() + lines[1].len()) as u64);
    let digest = "ab".repeat(32);
    assert_eq!(rows.object, format!("segments/default/1970-01-01/edge-1/{INSTANCE}-1-{digest}.jsonl.zst"));
}

#[test]
fn a_request_whose_answer_is_elsewhere_waits_and_so_does_an_answer() {
    let id = id();
    let lines = plain(&[head(), request(2, &id), answer(3, 1, Outcome::Ok)]);
    let rows = decode(&sealed(&lines), &shipped(1, 3));
    assert_eq!((rows.unanswered, rows.answered), (vec![(2, 1_000_020)], vec![1]));
}

#[test]
fn a_message_that_was_changed_on_its_way_ends_its_call_once() {
    let id = id();
    let sent = Record { stage: Some(Stage::Tx), of: Some(3), ..answer(4, 2, Outcome::Ok) };
    let lines = plain(&[head(), request(2, &id), answer(3, 2, Outcome::Ok), sent]);
    let rows = decode(&sealed(&lines), &shipped(1, 4));
    assert_eq!(rows.tapes[0].calls, 1);
    assert_eq!(rows.frames.iter().filter(|frame| frame.outcome.is_some()).count(), 1);
}

#[test]
fn a_line_that_is_damaged_is_a_gap_between_its_neighbours() {
    let id = id();
    let mut lines = plain(&[head(), request(2, &id), request(3, &id), request(4, &id)]);
    lines[2][9] ^= 1;
    let rows = decode(&sealed(&lines), &shipped(1, 4));
    assert_eq!(rows.frames.iter().map(|frame| frame.seq).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(rows.lost_bytes, lines[2].len() as u64);
    let gap = &rows.gaps[0];
    assert_eq!((gap.after, gap.before, gap.frames, &*gap.why), (2, 4, Some(1), "corrupt"));
    assert!(gap.detail.contains("checksum"), "{}", gap.detail);
}

#[test]
fn bytes_that_are_no_segment_at_all_are_one_gap() {
    let rows = decode(b"no segment", &shipped(5, 9));
    let gap = &rows.gaps[0];
    assert_eq!((rows.frames.len(), gap.after, gap.before, &*gap.why), (0, 4, 10, "corrupt"));
    assert_eq!((rows.first_at, rows.last_at), (7, 7), "when it came is all that is known");
}

#[test]
fn records_that_are_not_there_are_told_and_so_is_what_the_node_says_it_dropped() {
    let id = id();
    let told = Gap { why: "queue_full".into(), frames: Some(12), ..Gap::default() };
    let gap = Record { k: Kind::Gap, seq: 4, gap: Some(told), ..Record::default() };
    let rows = decode(&sealed(&plain(&[head(), request(3, &id), gap])), &shipped(1, 6));
    let told: Vec<_> = rows.gaps.iter().map(|gap| (gap.after, gap.before, gap.frames, &*gap.why)).collect();
    assert_eq!(told, [(1, 3, Some(1), "lost"), (3, 5, Some(12), "queue_full"), (4, 7, Some(2), "lost")]);
}

#[test]
fn a_record_that_stands_behind_a_later_one_is_counted_and_left_out() {
    let id = id();
    let rows = decode(&sealed(&plain(&[head(), request(3, &id), request(3, &id)])), &shipped(1, 3));
    assert_eq!((rows.frames.len(), &*rows.gaps[1].why), (1, "disordered"));
}

/// It is kept as bytes alone, for a reason that has these words, with a gap in its place.
fn assert_unread(rows: &SegmentRows, words: &str) {
    assert_eq!((rows.unread, rows.frames.len(), rows.single_rows()), (Some(Unread::NotIndexed), 0, 1));
    let gap = &rows.gaps[0];
    assert_eq!((gap.after, gap.before, gap.frames, &*gap.why), (0, 10, Some(9), "not_indexed"));
    assert!(gap.detail.contains(words) && gap.detail.contains(&rows.object), "{}", gap.detail);
    assert_eq!(rows.lost_bytes, rows.stored_bytes);
}

#[test]
fn a_segment_that_says_it_is_another_is_kept_as_bytes() {
    let lines = plain(&[head()]);
    let rows = decode(&sealed(&lines), &Shipped { sequence: 2, ..shipped(1, 9) });
    assert_unread(&rows, &format!("its head says that it is segment 1 of {INSTANCE}"));
    assert_eq!((rows.first_at, rows.last_at), (1_000_000, 1_000_000), "its time is known all the same");
}

#[test]
fn a_bomb_is_kept_as_bytes() {
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b'\n'), PLAIN_BYTES_MAX as u64 + 1), 1).unwrap();
    assert_unread(&decode(&bomb, &shipped(1, 9)), "it unpacks to more than");
}

#[test]
fn what_would_hold_up_the_index_is_kept_as_bytes() {
    let many = |count: u64, record: &dyn Fn(u64) -> Record<'static>| {
        let mut lines = plain(&[head()]);
        lines.extend((2..count + 2).flat_map(|seq| plain(&[record(seq)])));
        decode(&sealed(&lines), &shipped(1, 9))
    };
    let tiny = |seq| Record { k: Kind::Stderr, seq, ..Record::default() };
    assert_eq!(many(FRAMES_MAX as u64, &tiny).unread, None);
    assert_unread(&many(FRAMES_MAX as u64 + 1, &tiny), "it has more than 20000 frames");
    let named = |seq: u64| Record { k: Kind::Stderr, seq, upstream: Some(seq.to_string().into()), ..Record::default() };
    assert_unread(&many(SINGLE_ROWS_MAX as u64 + 1, &named), "more than 10000 words");
}

#[test]
fn what_this_build_fails_at_is_kept_as_bytes() {
    assert_eq!(caught::<SegmentRows>(|| panic!("a bug")).unwrap_err(), Unreadable::Failed);
    let rows = kept_as_bytes(b"a segment", &shipped(1, 9), &Unreadable::Failed, || panic!("the same bug"));
    assert_unread(&rows, "which is a bug");
    assert_eq!((rows.first_at, rows.last_at), (7, 7), "when it came is all that is known");
}

#[test]
fn a_segment_whose_extent_its_node_does_not_know_tells_it_itself() {
    let id = id();
    let mut lines = plain(&[request(5, &id), request(6, &id), request(9, &id)]);
    let rows = decode(&sealed(&lines), &shipped(0, 0));
    assert_eq!((rows.first_record, rows.last_record, rows.frames.len()), (5, 9, 3));
    let told = |rows: &SegmentRows| rows.gaps.iter().map(|gap| (gap.after, gap.before, gap.frames)).collect::<Vec<_>>();
    assert_eq!(told(&rows), [(6, 9, Some(2))]);
    (lines[0][9], lines[2][9]) = (b'?', b'?');
    let rows = decode(&sealed(&lines), &shipped(0, 0));
    assert_eq!((rows.first_record, rows.last_record, told(&rows)), (6, 6, vec![(5, 6, None), (6, 7, None)]));
    let rows = decode(b"no segment", &shipped(0, 0));
    assert_eq!((rows.first_record, rows.last_record, told(&rows)), (0, 0, vec![(0, 0, None)]));
}

#[test]
fn a_message_that_is_not_kept_is_told() {
    let spoiled = vec![("corrupt", "the message 5f is not kept: it is damaged".to_owned())];
    let rows = decode(&sealed(&plain(&[head()])), &Shipped { spoiled, ..shipped(1, 1) });
    let gap = &rows.gaps[0];
    assert_eq!((gap.after, gap.before, gap.frames, &*gap.why), (0, 2, Some(0), "corrupt"));
    assert!(gap.detail.contains("5f"), "{}", gap.detail);
}

#[test]
fn a_clock_that_is_ahead_is_not_believed_where_there_is_no_frame_either() {
    let ahead = Head { clock: u64::MAX, ..head().head.unwrap() };
    let rows = decode(&sealed(&plain(&[Record { head: Some(ahead), ..head() }])), &shipped(1, 1));
    assert_eq!((rows.first_at, rows.last_at), (7 + AHEAD, 7 + AHEAD));
}

#[test]
fn texts_are_cut_and_have_no_control_characters() {
    let id = id();
    let record = Record { name: Some("a\0b\u{1b}c".into()), m: Some("x".repeat(5_000).into()), ..request(2, &id) };
    let rows = decode(&sealed(&plain(&[head(), record])), &shipped(1, 2));
    assert!(rows.words.contains(&"a b c".to_owned()));
    assert!(rows.words.iter().all(|word| word.len() <= 1024));
}

#[test]
fn the_last_record_of_an_instance_is_known() {
    let end = Record { k: Kind::End, seq: 2, ..Record::default() };
    let rows = decode(&sealed(&plain(&[head(), end])), &shipped(1, 2));
    assert_eq!((rows.ended, rows.frames.len()), (Some(2), 0));
}
