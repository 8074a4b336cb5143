//! Parquet, as a reader sees it that nobody here wrote.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use shadowcat_proto::admin::v1 as admin;
use tempfile::TempDir;

use crate::answers::NOW;
use crate::conversations;
use crate::exporting::{APART, export, whole};
use crate::recorded::{self, INSTANCE};
use crate::showing::has;

const MICROSECONDS: i64 = 1_000_000;

/// What the reader tells of a file.
fn read(file: &Path) -> Value {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let (node, packages) = (tests.join(".lab/node/bin/node"), tests.join(".lab/npm"));
    assert!(node.exists(), "{} is not there: run tests/run setup", node.display());
    let script = tests.join("lab/clients/parquet_rows.mjs");
    let told = Command::new(node).arg(script).arg(file).env("LAB_PACKAGES", packages).output().expect("node starts");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).expect("JSON")
}

#[tokio::test]
async fn another_reader_finds_a_row_for_every_record_with_the_index_and_the_message() {
    let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
    let told = export(&fake, &directory, &["--to", "a.parquet"]).await;
    assert_eq!(
        (told.code, told.stdout.as_str(), told.stderr.as_str()),
        (0, "17 records in a.parquet\n", ""),
        "{told:?}"
    );
    let file = read(&directory.path().join("a.parquet"));
    assert_eq!((&file["groups"], &file["codecs"]), (&json!([17]), &json!(["ZSTD"])));
    let rows = file["rows"].as_array().expect("rows");
    let answer = rows.iter().find(|row| row["id"] == "3f9a21c0-11").expect("the answer of the search");
    let shown = (NOW - 300) * MICROSECONDS + 11 * 250_000;
    let message = answer["message"].as_str().expect("text");
    assert!(message.starts_with(r#"{"jsonrpc":"2.0","id":1,"result":"#), "{message}");
    let expected = json!({
        "id": "3f9a21c0-11", "time": time_of(shown), "node": "edge-1", "instance": INSTANCE, "seq": 11, "tape": "kX3vQ9aZ",
        "operation": "3f9a21c0-5", "kind": "msg", "direction": "s2c", "method": "tools/call", "name": "search",
        "outcome": "tool_error", "code": null, "latency_us": 1_500_000, "size": 91, "route": "workbench",
        "upstream": "everything", "endpoint": "http://10.0.0.1:3001/mcp", "session": "kX3vQ9aZ", "principal": "alice",
        "trace": null, "era": "2025-11-25", "config_version": 12, "text": null, "message": message,
    });
    assert_eq!(answer, &expected);
    let upload = rows.iter().find(|row| row["id"] == "3f9a21c0-14").expect("the upload");
    assert_eq!(upload["message"].as_str().expect("text").as_bytes(), APART, "kept apart, and here all the same");
    let stderr = rows.iter().find(|row| row["kind"] == "stderr").expect("a line of stderr");
    assert_eq!((&stderr["text"], &stderr["message"]), (&json!("warning: slow disk"), &Value::Null));
}

/// As the reader's language prints a moment.
fn time_of(microseconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(microseconds).expect("a moment");
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[tokio::test]
async fn columns_say_what_they_hold() {
    let (fake, directory) = (whole(), TempDir::new().expect("a directory"));
    export(&fake, &directory, &["--to", "rows", "--format", "parquet"]).await;
    let columns = read(&directory.path().join("rows"))["columns"].clone();
    assert_eq!(columns["time"], "INT64 TIMESTAMP MICROS UTC");
    for (column, told) in columns.as_object().expect("columns") {
        let number = ["time", "seq", "code", "latency_us", "size", "config_version"].contains(&column.as_str());
        assert!(number == told.as_str().expect("text").starts_with("INT64"), "{column}: {told}");
        assert!(number || told == "BYTE_ARRAY STRING", "{column}: {told}");
    }
}

#[tokio::test]
async fn a_long_export_is_many_groups_of_rows_and_what_is_no_text_is_counted() {
    let text = "x".repeat(600_000);
    let message = |sequence: u64| {
        let frame = recorded::message(sequence, "c2s", "tools/call", sequence);
        recorded::recorded(frame, &format!(r#","body":{{"at":{sequence},"text":"{text}"}}"#))
    };
    let mut records: Vec<admin::TapeRecord> = (1..=150).map(message).collect();
    // Two bytes that are no UTF-8.
    records.push(recorded::recorded(recorded::message(151, "c2s", "", 151), r#","b64":"//4=""#));
    let directory = TempDir::new().expect("a directory");
    let told = export(&has(records), &directory, &["--to", "a.parquet"]).await;
    assert_eq!((told.code, told.stdout.as_str()), (0, "151 records in a.parquet\n"), "{told:?}");
    assert!(told.stderr.contains("left out: 1 message is no text"), "{told:?}");
    let file = read(&directory.path().join("a.parquet"));
    assert_eq!(file["groups"], json!([56, 56, 39]), "32 MiB of text each");
    let rows = file["rows"].as_array().expect("rows");
    for (row, sequence) in rows.iter().zip(1..=150) {
        let said: Value = serde_json::from_str(row["message"].as_str().expect("text")).expect("JSON");
        assert_eq!(
            (&row["seq"], &said["at"], said["text"].as_str()),
            (&json!(sequence), &json!(sequence), Some(&*text))
        );
    }
    assert_eq!((&rows[150]["seq"], &rows[150]["message"]), (&json!(151), &Value::Null));
}

#[tokio::test]
async fn hostile_records_are_rows_or_counted() {
    let directory = TempDir::new().expect("a directory");
    let told = export(&has(conversations::hostile()), &directory, &["--to", "a.parquet"]).await;
    assert!(told.code == 1 && told.stderr.contains("a.parquet is not whole: it has 7 records"), "{told:?}");
    let rows = read(&directory.path().join("a.parquet"))["rows"].clone();
    assert_eq!(rows.as_array().map(Vec::len), Some(7));
    assert_eq!(rows[0]["outcome"], recorded::HOSTILE);
}
