//! `tapes export`.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use shadowcat_proto::admin::v1::{self as admin, read_tapes_response};
use shadowcat_tape::record::Kind;
use shadowcat_tape::segment::Found;
use shadowcat_tape::tape::{TapeReader, validate};
use tempfile::TempDir;
use tokio::process::Command;
use tonic::Status;

use crate::conversations;
use crate::fake::{EDITOR, Fake};
use crate::recorded::{self, HOSTILE};
use crate::showing::has;
use crate::support::{Told, ctl};

/// A message that is kept apart.
pub(crate) const APART: &[u8] =
    br#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"upload","arguments":{"file":"whole"}}}"#;

/// A session of which everything came, the message that is kept apart too.
pub(crate) fn whole() -> Fake {
    let hash = shadowcat_tape::blob::hash(APART);
    let bytes: Vec<u8> =
        (0..hash.len()).step_by(2).map(|at| u8::from_str_radix(&hash[at..at + 2], 16).expect("hex")).collect();
    let mut records = conversations::conversation();
    let upload =
        records.iter_mut().find(|record| String::from_utf8_lossy(&record.line).contains("00ff")).expect("there");
    let frame = upload.frame.clone().expect("there");
    *upload = recorded::recorded(frame, &format!(r#","id":9,"blob":{{"hash":"{hash}","bytes":{}}}"#, APART.len()));
    let fake = has(records);
    let blob = admin::BlobContent { hash: bytes, content: APART.to_vec() };
    fake.state()
        .tapes
        .records
        .insert(0, admin::ReadTapesResponse { kind: Some(read_tapes_response::Kind::Blob(blob)) });
    fake
}

pub(crate) async fn export(fake: &Fake, directory: &TempDir, arguments: &[&str]) -> Told {
    let url = fake.serve().await;
    ctl(&[&["tapes", "export"], arguments].concat()).at(&url, EDITOR).in_directory(directory.path()).run().await
}

/// Names in the directory, hidden ones too.
fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("listed");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("listed").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_tape_has_every_record_and_message_and_is_found_whole() {
    let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
    let told = export(&fake, &directory, &["--tape", "kX3vQ9aZ", "--to", "refunds.tape"]).await;
    assert_eq!(
        (told.code, told.stdout.as_str(), told.stderr.as_str()),
        (0, "17 records in refunds.tape\n", ""),
        "{told:?}"
    );
    assert_eq!(names(&directory), ["refunds.tape"]);
    let dir = directory.path().join("refunds.tape");
    let report = validate(&dir);
    assert!(report.is_ok() && report.blobs == 1 && report.summary.records == 17, "{report:?}");
    let asked = fake.state().tapes.read.clone().expect("asked");
    assert!(asked.blobs && asked.selection.expect("said").ids == ["kX3vQ9aZ"]);
    let mode = fs::metadata(dir).expect("there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "recorded traffic is for its owner's eyes");
}

#[tokio::test]
async fn records_of_several_nodes_get_a_head_wherever_another_one_goes_on() {
    get_heads("ab".repeat(16)).await;
}

#[tokio::test]
async fn two_nodes_that_claim_one_instance_are_told_apart_by_their_heads() {
    let records = conversations::conversation();
    get_heads(records[3].frame.as_ref().expect("there").instance.clone()).await;
}

/// Exports three records, of which the second is of another node, and of this instance.
async fn get_heads(instance: String) {
    let mut records = conversations::conversation().split_off(3);
    let mut other = records[1].frame.clone().expect("there");
    other.instance = instance;
    other.node = "edge-2".to_owned();
    records.truncate(3);
    records[1] = recorded::recorded(other, "");
    let directory = TempDir::new().expect("a directory");
    let told = export(&has(records), &directory, &["--to", "a.tape"]).await;
    assert_eq!((told.code, told.stdout.as_str()), (0, "3 records in a.tape\n"), "{told:?}");
    let tape = TapeReader::open(&directory.path().join("a.tape")).expect("a tape");
    let mut seen = Vec::new();
    let summary = tape.each(|found| {
        let Found::Record(line) = found else { panic!("{found:?}") };
        seen.push(line.record.head.as_ref().map_or_else(|| "-".to_owned(), |head| head.node.to_string()));
        if line.record.k == Kind::Head {
            assert!(line.record.head.expect("a head").clock > 1_700_000_000_000_000_000, "the time of day");
        }
        ControlFlow::Continue(())
    });
    assert!(summary.expect("readable").is_whole());
    assert_eq!(seen, ["edge-1", "-", "edge-2", "-", "edge-1", "-"]);
}

#[tokio::test]
async fn lines_of_json_are_the_records_as_they_were() {
    let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
    let told = export(&fake, &directory, &["--to", "a.jsonl"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stderr.starts_with("left out: 1 message of "), "{told:?}");
    let file = fs::read_to_string(directory.path().join("a.jsonl")).expect("there");
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!(lines.len(), 17);
    let first = &conversations::conversation()[1].line;
    assert_eq!(lines[1].as_bytes(), first.as_slice());
}

#[tokio::test]
async fn a_call_is_an_entry_with_what_passed_before_its_answer() {
    let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
    let told = export(&fake, &directory, &["--to", "calls.txt", "--format", "har"]).await;
    assert_eq!((told.code, told.stdout.as_str()), (0, "4 calls in calls.txt\n"), "{told:?}");
    assert!(
        told.stderr.contains("left out: 1 gap, 1 message outside of calls, 2 records without a message"),
        "{told:?}"
    );
    let file = fs::read_to_string(directory.path().join("calls.txt")).expect("there");
    let har: Value = serde_json::from_str(&file).expect("JSON");
    assert_eq!(har["log"]["version"], "1.2");
    let entries = har["log"]["entries"].as_array().expect("entries");
    let call = |method: &str| {
        let found =
            entries.iter().find(|entry| entry["request"]["postData"]["text"].as_str().unwrap_or("").contains(method));
        found.unwrap_or_else(|| panic!("{method} in {file}"))
    };
    let search = call("refund");
    assert_eq!(search["request"]["url"], "http://10.0.0.1:3001/mcp");
    assert_eq!(search["time"], 1500.0);
    assert_eq!(search["_mcpMessages"].as_array().expect("messages").len(), 3, "{search:#}");
    assert_eq!(search["_shadowcat"]["outcome"], "tool_error");
    assert_eq!((&search["response"]["status"], &search["response"]["content"]["size"]), (&200.into(), &91.into()));
    assert!(search["response"]["content"]["text"].as_str().expect("text").contains("2 found, 1 denied"));
    let upload = call("whole");
    assert_eq!((&upload["response"]["status"], &upload["_shadowcat"]["outcome"]), (&0.into(), &"cancelled".into()));
}

#[tokio::test]
async fn calls_of_a_child_have_a_url_of_their_own() {
    let frame = admin::Frame {
        endpoint: "npx".to_owned(),
        name: "read file".to_owned(),
        ..recorded::message(2, "c2s", "tools/call", 2)
    };
    let call = recorded::recorded(frame, r#","id":1"#);
    let directory = TempDir::new().expect("a directory");
    let told = export(&has(vec![call]), &directory, &["--to", "a.har"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    let har: Value = serde_json::from_slice(&fs::read(directory.path().join("a.har")).expect("there")).expect("JSON");
    let entry = &har["log"]["entries"][0];
    assert_eq!(entry["request"]["url"], "mcp+stdio://everything/tools/call/read%20file");
    assert_eq!((&entry["response"]["status"], &entry["_shadowcat"]["answer"]), (&0.into(), &Value::Null));
}

#[tokio::test]
async fn nothing_is_written_over_and_a_name_without_an_ending_needs_a_format() {
    let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
    fs::write(directory.path().join("a.jsonl"), "mine").expect("written");
    let told = export(&fake, &directory, &["--to", "a.jsonl"]).await;
    assert_eq!(told.code, 2, "{told:?}");
    assert!(told.stderr.contains("nothing is written over"), "{told:?}");
    assert_eq!(fs::read(directory.path().join("a.jsonl")).expect("there"), b"mine");
    let told = export(&fake, &directory, &["--to", "b"]).await;
    assert_eq!((told.code, told.stderr.contains("--format")), (2, true), "{told:?}");
    assert!(fake.state().tapes.read.is_none(), "nothing was asked");
}

#[tokio::test]
async fn an_export_that_is_not_whole_is_kept_and_fails() {
    let files =
        [("a.tape", "16 records"), ("a.jsonl", "16 records"), ("a.har", "3 calls"), ("a.parquet", "16 records")];
    for (file, noun) in files {
        let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
        let script = fake.state().tapes.records.clone();
        let broken = script.into_iter().map(|told| match told.kind {
            Some(read_tapes_response::Kind::Record(mut record))
                if record.frame.as_ref().is_some_and(|frame| frame.sequence == 6) =>
            {
                record.line[20] ^= 1;
                recorded::read(record)
            }
            kind => admin::ReadTapesResponse { kind },
        });
        let mut broken: Vec<_> = broken.collect();
        broken.pop();
        broken.push(recorded::read_end(HOSTILE, &["segment 3f-12: 40 lines"]));
        fake.state().tapes.records = broken;
        let told = export(&fake, &directory, &["--to", file]).await;
        assert_eq!(told.code, 1, "{told:?}");
        assert!(told.stderr.contains("damaged: segment 3f-12: 40 lines\n"), "{told:?}");
        assert!(told.stderr.contains("damaged: 1 record cannot be read: 3f9a21c0-6: "), "{told:?}");
        assert!(told.stderr.contains(&format!("{file} is not whole: it has {noun}")), "{told:?}");
        assert_eq!(names(&directory), [file]);
    }
}

#[tokio::test]
async fn a_message_that_did_not_come_makes_a_tape_that_is_not_whole() {
    let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
    fake.state().tapes.records.remove(0);
    for file in ["a.tape", "a.har", "a.parquet"] {
        let told = export(&fake, &directory, &["--to", file]).await;
        assert_eq!((told.code, told.stderr.contains("did not come")), (1, true), "{told:?}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_in_the_middle_leaves_nothing_behind() {
    for file in ["a.tape", "a.jsonl", "a.har", "a.parquet"] {
        let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
        fake.state().tapes.records.truncate(6);
        fake.state().tapes.breaks = Some(Status::unavailable("the control plane stops"));
        let told = export(&fake, &directory, &["--to", file]).await;
        assert_eq!(told.code, 4, "{told:?}");
        assert_eq!(names(&directory), Vec::<String>::new(), "{file}");
    }
}

#[tokio::test]
async fn an_interrupt_leaves_nothing_behind() {
    let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
    fake.state().tapes.records.pop();
    fake.state().tapes.endless = true;
    let url = fake.serve().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_shadowcatctl"))
        .args(["tapes", "export", "--to", "a.tape", "--server", &url, "--token", EDITOR])
        .current_dir(directory.path())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    while names(&directory).is_empty() {
        tokio::task::yield_now().await;
    }
    let id = child.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("kill runs").success());
    assert_eq!(child.wait().await.expect("it ends").code(), Some(1));
    assert_eq!(names(&directory), Vec::<String>::new());
}

#[tokio::test]
async fn hostile_records_are_exported_or_counted_and_nothing_is_nothing() {
    let directory = TempDir::new().expect("a directory");
    for file in ["a.tape", "a.jsonl", "a.har", "a.parquet"] {
        let told = export(&has(conversations::hostile()), &directory, &["--to", file]).await;
        assert_eq!(told.code, 1, "{told:?}");
        assert!(told.stderr.contains("cannot be read") && !told.stderr.contains('\u{1b}'), "{told:?}");
    }
    let told = export(&has(Vec::new()), &directory, &["--to", "b.tape"]).await;
    assert_eq!((told.code, told.stderr.as_str()), (0, "nothing fits; nothing was written\n"), "{told:?}");
    assert_eq!(names(&directory), ["a.har", "a.jsonl", "a.parquet", "a.tape"]);
}
