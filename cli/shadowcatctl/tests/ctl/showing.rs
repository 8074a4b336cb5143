//! `tapes show`.

use serde_json::Value;
use shadowcat_proto::admin::v1::{self as admin, read_tapes_response};
use tonic::Status;

use crate::conversations;
use crate::fake::{EDITOR, Fake};
use crate::recorded::{self, TAPE};
use crate::support::{Told, ctl};

/// A control plane that has these records.
pub(crate) fn has(records: Vec<admin::TapeRecord>) -> Fake {
    let fake = Fake::new();
    let mut told: Vec<_> = records.into_iter().map(recorded::read).collect();
    told.push(recorded::read_end("", &[]));
    fake.state().tapes.records = told;
    fake
}

async fn show(fake: &Fake, arguments: &[&str]) -> Told {
    let url = fake.serve().await;
    ctl(&[&["tapes", "show"], arguments].concat()).at(&url, EDITOR).run().await
}

#[tokio::test]
async fn an_answer_stands_under_its_request_and_a_question_between() {
    let fake = has(conversations::conversation());
    let told = show(&fake, &[TAPE]).await;
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
    let at = |part: &str| told.stdout.find(part).unwrap_or_else(|| panic!("{part} in {told:?}"));
    assert!(at("→ tools/call search") < at("1/3 reading") && at("Which year?") < at("tool_error 1.50s 91 bytes"));
    assert!(
        at("tool_error 1.50s 91 bytes") < at("→ resources/read file:///etc/motd"),
        "one operation after the other: {told:?}"
    );
    assert!(at("-- missing: 12 frames (queue_full) --") < at("-- edge-1 stopped in order --"));
    let asked = fake.state().tapes.read.clone().expect("asked");
    assert_eq!((asked.selection.expect("said").ids, asked.blobs, asked.limit), (vec![TAPE.to_owned()], true, 10_000));
}

#[tokio::test]
async fn the_last_tape_has_a_name_of_its_own() {
    let fake = has(conversations::conversation());
    let told = show(&fake, &["@last"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(fake.state().tapes.listed.as_ref().expect("listed").limit, 1);
    let asked = fake.state().tapes.read.clone().expect("asked");
    assert_eq!(asked.selection.expect("said").ids, [recorded::tapes().tapes[0].id.as_str()]);
}

#[tokio::test]
async fn raw_records_are_the_lines_as_they_were_written() {
    let fake = has(conversations::conversation());
    let told = show(&fake, &[TAPE, "--raw"]).await;
    let expected: Vec<String> =
        conversations::conversation().into_iter().map(|record| String::from_utf8(record.line).expect("text")).collect();
    assert_eq!(told.stdout.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn programs_get_frames_with_their_records() {
    let fake = has(conversations::conversation());
    let told = show(&fake, &[TAPE, "-o", "json"]).await;
    let answer: Value = serde_json::from_str(&told.stdout).expect("JSON");
    let frame = &answer["frames"][4];
    assert_eq!((&frame["method"], &frame["record"]["seq"]), (&"tools/call".into(), &5.into()));
    assert!(told.stdout.contains("\"limit\":1.0"), "verbatim: {told:?}");
    let lines = show(&fake, &[TAPE, "-o", "jsonl"]).await;
    assert_eq!(lines.stdout.lines().count(), 17, "{lines:?}");
    let yaml = show(&fake, &[TAPE, "-o", "yaml"]).await;
    assert_eq!((yaml.code, yaml.stdout.contains("  record:\n")), (0, true), "{yaml:?}");
}

#[tokio::test]
async fn a_message_kept_apart_is_shown_where_it_belongs_or_by_its_size() {
    let fake = has(conversations::conversation());
    let told = show(&fake, &[TAPE]).await;
    assert!(told.stdout.contains("1048576 bytes kept apart"), "{told:?}");
    let content = br#"{"params":{"name":"upload","arguments":{"file":"whole"}}}"#.to_vec();
    let blob = admin::BlobContent { hash: vec![0, 0xff], content };
    let blob = admin::ReadTapesResponse { kind: Some(read_tapes_response::Kind::Blob(blob)) };
    fake.state().tapes.records.insert(0, blob);
    let told = show(&fake, &[TAPE]).await;
    assert!(told.stdout.contains(r#"{"file": "whole"}"#), "{told:?}");
}

#[tokio::test]
async fn what_a_read_did_not_bring_is_said_beside_the_output() {
    let fake = has(conversations::conversation());
    fake.state().tapes.records.pop();
    fake.state().tapes.records.push(recorded::read_end("only the first 17 records", &["segment 3f-12: 40 lines"]));
    let told = show(&fake, &[TAPE]).await;
    assert_eq!(told.stderr, "damaged: segment 3f-12: 40 lines\nonly the first 17 records\n");
}

#[tokio::test]
async fn an_id_that_nothing_has_is_a_failure_and_one_that_cannot_be_read_another() {
    let fake = has(Vec::new());
    for flags in [&["-o", "table"][..], &["-o", "json"], &["-o", "jsonl"], &["-o", "yaml"], &["--raw"]] {
        let none = show(&fake, &[&["absent"], flags].concat()).await;
        assert_eq!((none.code, none.stdout.as_str()), (1, ""), "{none:?}");
        assert_eq!(none.stderr, "shadowcatctl: no tape or call has the id absent; see `shadowcatctl tapes list`\n");
    }
    fake.state().tapes.records = vec![recorded::read_end("", &["segment 3f-12: 40 lines"])];
    let damaged = show(&fake, &[TAPE]).await;
    let said = format!("damaged: segment 3f-12: 40 lines\nshadowcatctl: nothing of {TAPE} can be read\n");
    assert_eq!((damaged.code, damaged.stderr), (1, said));
}

#[tokio::test]
async fn a_stream_that_ends_in_the_middle_is_a_failure_after_what_it_brought() {
    for breaks in [None, Some(Status::unavailable("the control plane stops"))] {
        let fake = has(conversations::conversation());
        fake.state().tapes.records.truncate(6);
        fake.state().tapes.breaks = breaks;
        for flags in [&["-o", "table"][..], &["-o", "json"], &["-o", "jsonl"], &["-o", "yaml"], &["--raw"]] {
            let told = show(&fake, &[&[TAPE], flags].concat()).await;
            assert_eq!(told.code, 4, "{told:?}");
            assert!(told.stderr.starts_with("shadowcatctl: cannot read the tapes: "), "{told:?}");
            assert!(told.stdout.contains("refund"), "{told:?}");
        }
    }
}

#[tokio::test]
async fn hostile_records_neither_drive_the_terminal_nor_fake_a_line() {
    let fake = has(conversations::hostile());
    for flags in [&["-o", "table"][..], &["--frames"], &["-o", "json"], &["-o", "jsonl"], &["-o", "yaml"]] {
        let told = show(&fake, &[&[TAPE], flags].concat()).await;
        assert_eq!(told.code, 0, "{told:?}");
        for driving in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2069}', '\u{e0041}'] {
            assert!(!told.stdout.contains(driving), "{flags:?}: {driving:?}");
        }
        if flags[0] != "-o" || flags[1] == "table" {
            assert!(told.stdout.len() < 20_000, "{}", told.stdout.len());
            assert!(!told.stdout.lines().any(|line| line.starts_with("spoof")), "{told:?}");
            assert!(told.stdout.contains("bytes left out") && told.stdout.contains("cannot be read"), "{told:?}");
        }
    }
}
