use std::io::Read;

use proptest::prelude::*;

use super::{
    Contents, Found, Packing, Refused, Scan, SegmentId, Summary, UnsealError, frame_holding, seal, seal_as, unseal,
};
use crate::line::LineError;
use crate::record::{Head, Kind, Record};
use crate::testing::{INSTANCE, head, line_of, lines, seeded};

/// More than any segment here unpacks to.
const ENOUGH: usize = 16 * 1024 * 1024;

fn summary(plain: &[u8]) -> Summary {
    Scan::new(plain).summarise().expect("a format of this build")
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    seal(plain, &mut out).unwrap();
    out
}

#[test]
fn a_name_is_an_id_and_nothing_else_is() {
    let id = SegmentId::new(INSTANCE, 42).unwrap();
    assert_eq!(id.open_name(), format!("{INSTANCE}-0000000042.jsonl"));
    assert_eq!(SegmentId::of_open_name(&id.open_name()), Some(id.clone()));
    assert_eq!(SegmentId::of_sealed_name(&id.sealed_name()), Some(id.clone()));
    assert_eq!(SegmentId::of_open_name(&id.sealed_name()), None);
    for other in
        ["", "-", "../x-0000000001", "0123-0000000001", &format!("{INSTANCE}-1"), &format!("{INSTANCE}-+000000001")]
    {
        assert_eq!(SegmentId::parse(other), None, "{other}");
    }
    assert!(SegmentId::new("../../etc/passwd", 1).unwrap_err().to_string().contains("32 lower-case"));
}

#[test]
fn any_program_that_reads_zstd_reads_a_sealed_segment() {
    let plain = lines(2_000).concat();
    assert!(zstd::decode_all(sealed(&plain).as_slice()).unwrap() == plain);
}

#[test]
fn what_has_no_line_feed_is_sealed_all_the_same() {
    let plain = vec![b'x'; 9 << 20];
    let unsealed = unseal(&sealed(&plain), ENOUGH).unwrap();
    assert!(unsealed.plain == plain && unsealed.damage.is_empty());
}

#[test]
fn what_a_segment_holds_is_told_in_its_first_bytes() {
    let plain = lines(2_000).concat();
    let sealed = sealed(&plain);
    let contents = Contents::of_sealed(&sealed[..super::CONTENTS_BYTES_MAX]).unwrap();
    let clock = 1_700_000_000_000_000_000;
    let (records, frames, t1, bytes) = (2_001, 2_000, 2_001_000, plain.len() as u64);
    assert_eq!(contents, Contents { first_seq: 1, last_seq: 2_001, records, frames, t0: 0, t1, clock, plain: bytes });
}

#[test]
fn what_is_packed_while_it_comes_is_what_is_sealed_at_once() {
    let lines = lines(3_000);
    let long = line_of(&Record { text: Some("x".repeat(700 * 1024).into()), ..Record::default() });
    let (mut plain, mut packing, mut contents) = (Vec::new(), Packing::default(), Contents::default());
    for line in lines.iter().chain([&long]).chain(&lines) {
        plain.extend_from_slice(line);
        packing.follow(&plain).unwrap();
    }
    contents.plain = plain.len() as u64;
    let (mut followed, mut at_once) = (Vec::new(), Vec::new());
    packing.finish(&plain, &contents, &mut followed).unwrap();
    seal_as(&plain, &contents, &mut at_once).unwrap();
    assert_eq!(followed, at_once);
    assert_eq!(unseal(&followed, ENOUGH).unwrap().plain, plain);
}

#[test]
fn one_frame_is_opened_for_one_place_and_holds_whole_lines() {
    let plain = lines(2_000).concat();
    let sealed = sealed(&plain);
    for offset in [0, 1, 262_000, 262_144, plain.len() as u64 - 1] {
        let holding = frame_holding(&sealed, offset).unwrap();
        let at = usize::try_from(holding.plain_at).unwrap();
        assert!(holding.plain_at <= offset && offset < holding.plain_at + holding.plain.len() as u64);
        assert!(plain[at..].starts_with(&holding.plain) && holding.plain.ends_with(b"\n"));
        assert!(holding.plain.len() < 300 * 1024);
    }
    let end = plain.len() as u64;
    assert_eq!(frame_holding(&sealed, end).unwrap_err(), UnsealError::PastEnd { offset: end, plain: end });
    assert_eq!(frame_holding(&sealed[1..], 0).unwrap_err(), UnsealError::NoTable);
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let bomb = zstd::encode_all(std::io::repeat(0).take(256 << 20), 3).unwrap();
    assert!(bomb.len() < 64 * 1024);
    assert_eq!(unseal(&bomb, ENOUGH).unwrap_err(), UnsealError::TooLarge { max: ENOUGH });
    let mut many = Vec::new();
    for _ in 0..20 {
        many.extend_from_slice(&sealed(&vec![b'\n'; 1 << 20]));
    }
    assert_eq!(unseal(&many, ENOUGH).unwrap_err(), UnsealError::TooLarge { max: ENOUGH });
}

#[test]
fn the_last_line_is_whole_without_its_line_feed() {
    let all = lines(3).concat();
    let summary = summary(&all[..all.len() - 1]);
    assert!(summary.is_whole());
    assert_eq!((summary.records, summary.frames, summary.last_seq), (4, 3, Some(4)));
}

#[test]
fn a_bad_end_is_torn_and_a_bad_line_before_a_good_one_is_corrupt() {
    let mut all = lines(5);
    all[2][10] ^= 1;
    let last = all[5].len() - 5;
    all[5].truncate(last);
    let plain = all.concat();
    let found: Vec<_> = Scan::new(&plain).map(Result::unwrap).collect();
    let corrupt_at = all[0].len() + all[1].len();
    assert!(matches!(&found[2], Found::Corrupt { at, why: LineError::Checksum { .. } }
        if *at == (corrupt_at..corrupt_at + all[2].len())));
    assert!(
        matches!(&found[5], Found::Torn { at, why: LineError::NoChecksum } if *at == (plain.len() - last..plain.len()))
    );
    let summary = summary(&plain);
    assert_eq!((summary.records, summary.missing, summary.corrupt_ranges), (4, 1, 1));
    assert_eq!((summary.corrupt_bytes, summary.torn_bytes), (all[2].len() as u64, last as u64));
    assert!(summary.to_string().contains("1 records missing, by holes in seq"), "{summary}");
}

#[test]
fn a_newer_major_format_is_refused_by_its_version_and_a_newer_minor_is_read() {
    let with = |format| line_of(&Record { head: Some(Head { format, ..head().head.unwrap() }), ..head() });
    assert!(Scan::new(&with((1, 9))).summarise().unwrap().is_whole());
    let refused = Scan::new(&with((2, 1))).summarise().unwrap_err();
    assert_eq!(refused, Refused::NewerFormat { major: 2, minor: 1 });
    let mut changed = br#"{"k":"head","seq":"one","head":{"format":[3,0],"who":[]}"#.to_vec();
    crate::line::seal(0, &mut changed);
    let mut scan = Scan::new(&changed);
    assert!(matches!(scan.next(), Some(Err(Refused::NewerFormat { major: 3, minor: 0 }))));
    assert!(scan.next().is_none());
}

#[test]
fn what_is_critical_and_unknown_is_refused_by_its_name() {
    let head = Head { critical: vec!["gap".into(), "hologram".into()], ..head().head.unwrap() };
    let plain = line_of(&Record { k: Kind::Head, head: Some(head), ..Record::default() });
    let refused = Scan::new(&plain).summarise().unwrap_err();
    assert_eq!(refused, Refused::Critical("hologram".into()));
}

#[test]
fn frames_around_a_damaged_one_are_read_with_and_without_the_seek_table() {
    let plain = lines(2_000).concat();
    let whole = sealed(&plain);
    for cut in [0, 1] {
        let mut damaged = whole[..whole.len() - cut].to_vec();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x10;
        let unsealed = unseal(&damaged, ENOUGH).unwrap();
        assert_eq!(unsealed.has_table, cut == 0);
        assert!(!unsealed.damage.is_empty() && unsealed.damage[0].at.contains(&middle));
        let told = summary(&unsealed.plain);
        assert!(told.missing > 0 && told.records + told.missing == 2_001, "{told}");
        assert!(told.records > 1_000, "{told}");
    }
}

#[test]
fn two_hundred_flipped_bytes_are_each_told_and_never_cost_another_frame() {
    let plain = lines(2_000).concat();
    let whole = sealed(&plain);
    let mut random = seeded(11);
    for _ in 0..200 {
        let mut damaged = whole.clone();
        let place = random() as usize % damaged.len();
        damaged[place] ^= 1 << (random() % 8);
        let unsealed = unseal(&damaged, ENOUGH).unwrap();
        let told = summary(&unsealed.plain);
        let known = !unsealed.damage.is_empty() || !unsealed.has_table || unsealed.contents.is_none();
        assert!(known || unsealed.plain == plain, "byte {place}");
        assert!(told.records > 1_000, "byte {place}: {told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sealing_and_unsealing_is_the_identity(plain in prop::collection::vec(any::<u8>(), 0..2_000), times in 1_usize..400) {
        let plain = plain.repeat(times);
        let unsealed = unseal(&sealed(&plain), ENOUGH).unwrap();
        prop_assert!(unsealed.plain == plain && unsealed.damage.is_empty() && unsealed.has_table);
    }

    #[test]
    fn a_cut_segment_keeps_every_whole_line_before_the_cut(cut: prop::sample::Index) {
        let all = lines(20);
        let plain = all.concat();
        let cut = cut.index(plain.len());
        let mut ends = all.iter().scan(0, |end, line| { *end += line.len(); Some(*end) });
        let whole = ends.by_ref().take_while(|end| *end - 1 <= cut).count() as u64;
        prop_assert_eq!(summary(&plain[..cut]).records, whole);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), place: prop::sample::Index) {
        let mut mixed = sealed(&lines(3).concat());
        let place = place.index(mixed.len());
        mixed.splice(place..place, bytes.iter().copied());
        for sealed in [bytes.as_slice(), &mixed] {
            let _ = frame_holding(sealed, 100);
            let _ = Scan::new(&unseal(sealed, ENOUGH).unwrap().plain).summarise();
        }
    }
}
