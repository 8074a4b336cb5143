//! `shadowcat tape show`: the conversation of a tape, of a spool in use, and of what is left of either.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::golden::Golden;
use crate::recorded::{EARLIER, Home, LATEST, image, names};
use crate::support::{SHADOWCAT, tape};

/// The latest tape, as it was shown before.
pub(crate) fn compare(golden: &mut Golden) {
    let home = Home::new();
    home.tape("refunds");
    for (name, flags) in [("show", &[][..]), ("show-frames", &["--frames"])] {
        let mut command = std::process::Command::new(SHADOWCAT);
        command.env_clear().current_dir(home.path()).args(["tape", "show", "refunds.tape"]).args(flags);
        let output = command.output().expect("shadowcat runs");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        golden.compare(name, &format!("{stdout}{stderr}"));
    }
}

#[tokio::test]
async fn the_latest_of_several_tapes_is_shown_and_the_others_are_named() {
    let home = Home::new();
    let path = home.tape("two");
    let latest = tape(&["show", text(&path)]).await;
    assert_eq!(latest.code, 0, "{latest:?}");
    assert!(latest.stdout.starts_with(&format!("tape {LATEST}")) && !latest.stdout.contains(EARLIER), "{latest:?}");
    assert_eq!(latest.stderr, format!("2 tapes are there; this is {LATEST}, and to see another name it: {EARLIER}\n"));
    let earlier = tape(&["show", text(&path), EARLIER]).await;
    assert!(earlier.stdout.starts_with(&format!("tape {EARLIER}")) && !earlier.stdout.contains(LATEST), "{earlier:?}");
    let unknown = tape(&["show", text(&path), "nobody"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (2, ""), "{unknown:?}");
    assert!(unknown.stderr.contains(&format!("has no tape nobody; it has {LATEST}, {EARLIER}")), "{unknown:?}");
}

#[tokio::test]
async fn a_spool_in_use_is_read_and_left_as_it_is() {
    let home = Home::new();
    let node = home.spool("spool");
    let before = names(&node.path);
    let told = tape(&["show", text(&node.path)]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("route workbench") && told.stdout.contains("tool_error"), "{told:?}");
    assert_eq!(names(&node.path), before);
    // What is shipped is gone from it, and that is no damage.
    let oldest = node.shelf.oldest(1).remove(0);
    node.shelf.remove(&oldest.id).expect("removed");
    let rest = tape(&["show", text(&node.path), LATEST]).await;
    assert_eq!(rest.code, 0, "{rest:?}");
    assert!(!rest.stderr.contains("damaged") && rest.stdout.len() < told.stdout.len(), "{rest:?}");
}

#[tokio::test]
async fn a_message_kept_apart_is_told_by_its_size_and_whole_when_asked() {
    let home = Home::new();
    let node = home.spool("spool");
    for path in [home.tape("tape"), node.path.clone()] {
        let told = tape(&["show", text(&path)]).await;
        let size = format!("{} bytes kept apart; `--raw` brings them", image().len());
        assert!(told.stdout.contains(&size), "{told:?}");
        let raw = tape(&["show", text(&path), "--raw"]).await;
        assert_eq!(raw.code, 0, "{:?}", raw.stderr);
        let records: Vec<Value> = raw.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let apart = records.iter().find(|record| !record["blob"].is_null()).expect("a message kept apart");
        assert_eq!(apart["body"], serde_json::from_str::<Value>(&image()).expect("JSON"));
        assert_eq!(
            (apart["c"].is_null(), records[0]["c"].is_string()),
            (true, true),
            "others are as they were written"
        );
    }
}

#[tokio::test]
async fn what_is_left_of_a_damaged_tape_is_shown_and_the_rest_is_named() {
    let home = Home::new();
    let path = home.tape("left");
    fs::write(path.join("manifest.json"), "{").expect("written");
    fs::write(path.join("seg-000001.jsonl.zst"), "no segment").expect("written");
    let told = tape(&["show", text(&path)]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("tools/call search"), "{told:?}");
    assert!(told.stderr.contains("damaged: manifest.json: it is no manifest of a tape"), "{told:?}");
    assert!(told.stderr.contains("damaged: seg-000001.jsonl.zst, bytes 0 to 10: cannot be unpacked"), "{told:?}");
    let (blobs, lost) = (path.join("blobs"), names(&path.join("blobs")).remove(0));
    fs::remove_file(blobs.join(&lost)).expect("removed");
    let raw = tape(&["show", text(&path), "--raw"]).await;
    assert!(raw.stderr.contains(&format!("damaged: the message of record 21, {lost}: it is not there")), "{raw:?}");
}

#[tokio::test]
async fn what_is_no_tape_is_refused_with_what_would_be_one() {
    let home = Home::new();
    fs::create_dir(home.join("plain")).expect("a directory");
    fs::write(home.join("file.tape"), "x").expect("written");
    for (name, words) in [("plain", "neither a tape"), ("file.tape", "is no directory"), ("absent", "it is not there")]
    {
        let told = tape(&["show", text(&home.join(name))]).await;
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{told:?}");
        assert!(told.stderr.contains(words), "{told:?}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
