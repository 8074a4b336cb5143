use proptest::prelude::*;

use super::*;
use crate::fleet::provenance::to_wire;
use crate::fleet::testing::{chunks, version};

fn say(kind: Kind) -> wire::ControlMessage {
    wire::ControlMessage { kind: Some(kind) }
}

fn welcomed() -> Line {
    let mut line = Line::default();
    let welcome = wire::Welcome { health_every_ms: 5_000, fleet: "prod".to_owned(), current: None };
    assert!(matches!(line.take(say(Kind::Welcome(welcome))), Ok(Task::Greet(_))));
    line
}

/// A whole snapshot; what the line makes of its last piece.
fn bring(line: &mut Line, number: u64) -> (ConfigRef, Result<Task, Violation>) {
    let (version, canonical) = version(number, "/mcp");
    let mut last = Ok(Task::Wait);
    for chunk in chunks(&version, &canonical) {
        last = line.take(say(Kind::Snapshot(chunk)));
    }
    (version, last)
}

fn activate(version: &ConfigRef) -> wire::ControlMessage {
    say(Kind::Activate(wire::Activate { r#ref: Some(to_wire(version)) }))
}

#[test]
fn a_version_is_prepared_as_a_whole_and_used_when_told() {
    let mut line = welcomed();
    for number in 1..4 {
        let (version, last) = bring(&mut line, number);
        let Ok(Task::Prepare(packed)) = last else { panic!("{last:?}") };
        assert_eq!((&packed.version, packed.chunks.len() > 2), (&version, true));
        line.prepared(&version);
        assert!(matches!(line.take(activate(&version)), Ok(Task::Activate(activated)) if activated == version));
    }
}

#[test]
fn nothing_is_taken_before_the_welcome_and_no_second_one() {
    let (version, _) = version(1, "/mcp");
    assert_eq!(Line::default().take(activate(&version)).unwrap_err(), Violation::Greeting);
    let mut line = welcomed();
    assert_eq!(line.take(say(Kind::Welcome(wire::Welcome::default()))).unwrap_err(), Violation::Greeting);
}

#[test]
fn what_only_a_newer_control_plane_says_is_passed_over_once_it_has_said_welcome() {
    let unknown = || wire::ControlMessage { kind: None };
    assert_eq!(Line::default().take(unknown()).unwrap_err(), Violation::Greeting);
    let mut line = welcomed();
    assert!(matches!(line.take(unknown()), Ok(Task::Wait)));
    assert!(matches!(bring(&mut line, 1).1, Ok(Task::Prepare(_))));
}

#[test]
fn only_what_was_prepared_is_put_to_use() {
    let mut line = welcomed();
    let (first, _) = bring(&mut line, 1);
    assert_eq!(line.take(activate(&first)).unwrap_err(), Violation::NotPrepared(1), "it is not prepared yet");

    let mut line = welcomed();
    let (first, _) = bring(&mut line, 1);
    line.not_prepared(&first);
    let (second, _) = bring(&mut line, 2);
    line.prepared(&second);
    assert_eq!(line.take(activate(&first)).unwrap_err(), Violation::NotPrepared(1), "it was rejected");
}

#[test]
fn one_version_is_under_way_at_a_time() {
    let mut line = welcomed();
    assert!(bring(&mut line, 1).1.is_ok());
    let (version, canonical) = version(2, "/mcp");
    let chunk = chunks(&version, &canonical).remove(0);
    assert_eq!(line.take(say(Kind::Snapshot(chunk))).unwrap_err(), Violation::Overlap(2));
}

#[test]
fn pieces_that_do_not_fit_end_the_line() {
    let (version, canonical) = version(1, "/mcp");
    let whole = chunks(&version, &canonical);
    let spoilt = |spoil: fn(&mut Vec<wire::SnapshotChunk>)| {
        let (mut chunks, mut line) = (whole.clone(), welcomed());
        spoil(&mut chunks);
        chunks.into_iter().find_map(|chunk| line.take(say(Kind::Snapshot(chunk))).err())
    };
    let does_not_fit = Some(Violation::Pieces(1));
    assert_eq!(spoilt(|chunks| drop(chunks.remove(0))), does_not_fit, "the first is missing");
    assert_eq!(spoilt(|chunks| drop(chunks.remove(1))), does_not_fit, "one is missing");
    assert_eq!(spoilt(|chunks| chunks.swap(1, 2)), does_not_fit, "two are exchanged");
    assert_eq!(spoilt(|chunks| chunks[1].last = true), does_not_fit, "it ends early");
    assert_eq!(spoilt(|chunks| chunks[1].bytes = Bytes::new()), does_not_fit, "one is empty");
    assert_eq!(spoilt(|chunks| chunks[0].total_bytes -= 1), does_not_fit, "it is longer than announced");
    assert_eq!(spoilt(|chunks| chunks[0].total_bytes += 1), does_not_fit, "it is shorter than announced");
    let another = |chunks: &mut Vec<wire::SnapshotChunk>| chunks[1].r#ref.as_mut().unwrap().number = 2;
    assert_eq!(spoilt(another), Some(Violation::Pieces(2)), "one is another version's");
    assert_eq!(spoilt(|chunks| chunks[0].r#ref = None), Some(Violation::Reference));
}

#[test]
fn what_is_too_large_is_refused_before_anything_is_kept() {
    let (version, canonical) = version(1, "/mcp");
    let beyond = u32::try_from(PACKED_BYTES_MAX + 1).unwrap();
    for spoil in [
        |chunk: &mut wire::SnapshotChunk, beyond| chunk.total_bytes = beyond,
        |chunk: &mut wire::SnapshotChunk, beyond| chunk.config_bytes = beyond,
    ] {
        let mut line = welcomed();
        let mut chunk = chunks(&version, &canonical).remove(0);
        spoil(&mut chunk, beyond);
        assert_eq!(line.take(say(Kind::Snapshot(chunk))).unwrap_err(), Violation::Oversize(1, u64::from(beyond)));
    }
}

/// What a control plane that has lost its mind might say.
fn anything() -> impl Strategy<Value = wire::ControlMessage> {
    let pieces = |number| {
        let (version, canonical) = version(number, "/mcp");
        chunks(&version, &canonical)
    };
    let all: Vec<_> = (1..3).flat_map(pieces).collect();
    let chunk = (0..all.len()).prop_map(move |index| Kind::Snapshot(all[index].clone()));
    let activate = (1..3_u64)
        .prop_map(|number| Kind::Activate(wire::Activate { r#ref: Some(to_wire(&version(number, "/mcp").0)) }));
    let rest = prop_oneof![
        Just(Kind::Welcome(wire::Welcome::default())),
        Just(Kind::Command(wire::Command::default())),
        Just(Kind::Reconnect(wire::Reconnect { after_ms: 1 })),
        Just(Kind::Activate(wire::Activate { r#ref: None })),
    ];
    prop_oneof![4 => chunk, 1 => activate, 1 => rest].prop_map(say)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_said_only_what_was_prepared_is_used(said in proptest::collection::vec(anything(), 0..60)) {
        let mut line = welcomed();
        let mut prepared = None;
        for message in said {
            match line.take(message) {
                Ok(Task::Prepare(packed)) => {
                    prop_assert!(packed.chunks.iter().map(Bytes::len).sum::<usize>() <= PACKED_BYTES_MAX);
                    line.prepared(&packed.version);
                    prepared = Some(packed.version);
                }
                Ok(Task::Activate(version)) => prop_assert_eq!(prepared.take(), Some(version)),
                Ok(_) => {}
                Err(_violation) => break,
            }
        }
    }
}
