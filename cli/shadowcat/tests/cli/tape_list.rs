//! `shadowcat tape list`: what is found, where it is looked for, and how it is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use shadowcat_cli::tapes::{Judgement, Listing, Place, Row, Verdict, judge};
use shadowcatctl_cli::output::{Format, Now, Page, Paint, render};

use crate::golden::Golden;
use crate::recorded::{Home, WALL, head};
use crate::support::{Told, tape, tape_in};

/// Ten minutes after the recordings began, and the width of a usual terminal.
fn page() -> Page {
    let seconds = i64::try_from(WALL / 1_000_000_000).expect("this century");
    Page { paint: Paint::Plain, now: Now(seconds + 600), width: 100, fleet: String::new(), server: String::new() }
}

fn judged(path: &Path, home: &Home) -> Judgement {
    let place = Place::at(path).expect("a tape or a spool");
    let mut judgement = judge(&place, SystemTime::now()).expect("readable");
    // Neither the name of a directory for one test nor the length of what zstd made of it is to be compared.
    let name = judgement.place.path.strip_prefix(home.path()).expect("in the test's directory").to_owned();
    judgement.place.path = name;
    judgement.stored_bytes = 4096;
    judgement
}

#[test]
fn every_table_and_verdict_is_as_it_was() {
    let home = Home::new();
    let whole = home.tape("refunds");
    let open = home.open_tape("open");
    let damaged = home.tape("damaged");
    fs::remove_file(damaged.join("seg-000001.jsonl.zst")).expect("removed");
    fs::write(damaged.join("seg-000000.jsonl.zst"), "x").expect("written");
    let newer = home.tape("newer");
    let manifest = fs::read_to_string(newer.join("manifest.json")).expect("a manifest");
    fs::write(newer.join("manifest.json"), manifest.replacen("1,", "9,", 1)).expect("written");
    let spool = home.spool("spool");

    let judgements: Vec<_> =
        [&whole, &open, &damaged, &newer, &spool.path].into_iter().map(|path| judged(path, &home)).collect();
    let listing = Listing { tapes: judgements.iter().map(Row::from).collect() };
    let mut golden = Golden::new("tape");
    for (name, format) in [("table", Format::Table), ("json", Format::Json), ("jsonl", Format::Jsonl)] {
        golden.compare(&format!("list-{name}"), &render(&listing, format, &page()).expect("said"));
    }
    golden.compare("list-none", &render(&Listing::default(), Format::Table, &page()).expect("said"));
    let verdicts: String = judgements.iter().map(|judgement| Verdict(judgement).text(&page())).collect();
    golden.compare("validate", &verdicts);
    crate::tape_show::compare(&mut golden);
    golden.finish();
}

#[tokio::test]
async fn tapes_and_spools_are_found_where_they_usually_are() {
    let (data, here) = (Home::new(), Home::new());
    fs::create_dir_all(data.join("tapes")).expect("a directory");
    fs::create_dir_all(data.join("node")).expect("a directory");
    data.tape("tapes/kept");
    data.spool("node/spool").stop();
    data.spool("spool").stop();
    here.tape("mine");
    let told = tape_in(here.path(), data.path(), &["list", "-o", "jsonl"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    let at = |name: &str| data.join(name).display().to_string();
    assert_eq!(paths(&told), [at("tapes/kept.tape"), at("node/spool"), at("spool"), "mine.tape".to_owned()]);
    let nothing = tape_in(data.path(), here.path(), &["list"]).await;
    assert!(nothing.stdout.contains("spool"), "the current directory is looked into: {nothing:?}");
}

#[tokio::test]
async fn a_named_directory_is_what_it_is_or_what_it_holds() {
    let home = Home::new();
    let one = home.tape("one");
    home.tape("two");
    fs::create_dir(home.join("else")).expect("a directory");
    symlink(home.join("nowhere"), home.join("dangling.tape")).expect("a link");
    symlink(home.join("round"), home.join("round")).expect("a link to itself");
    symlink(&one, home.join("same")).expect("a link");
    let all = tape(&["list", "-o", "jsonl", text(home.path())]).await;
    assert_eq!(paths(&all), [text(&one), text(&home.join("two.tape"))], "what a link leads to is there once");
    let itself = tape(&["list", "-o", "jsonl", text(&one)]).await;
    assert_eq!(paths(&itself), [text(&one)]);
}

#[tokio::test]
async fn what_was_named_and_is_not_there_fails_after_what_is() {
    let home = Home::new();
    let one = home.tape("one");
    fs::write(home.join("file"), "x").expect("written");
    let (absent, file) = (home.join("absent"), home.join("file"));
    let told = tape(&["list", text(&absent), text(&one), text(&file)]).await;
    assert_eq!(told.code, 2, "{told:?}");
    assert!(told.stdout.contains("one.tape"), "{told:?}");
    assert!(
        told.stderr.contains("absent: it is not there") && told.stderr.contains("file is no directory"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_directory_that_may_not_be_read_is_told_in_words() {
    let home = Home::new();
    let closed = home.tape("closed");
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).expect("set");
    // Whoever runs the tests as root may read everything.
    let is_root = fs::read_dir(&closed).is_ok();
    let told = tape(&["list", text(&closed)]).await;
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).expect("set");
    assert!(is_root || told.code == 2 && told.stderr.contains("this user may not read it"), "{told:?}");
}

#[test]
fn names_and_words_of_others_cannot_drive_the_terminal() {
    let home = Home::new();
    let path = home.tape("\u{1b}[2J\nspoof");
    fs::write(path.join("manifest.json"), "{\"\u{1b}[2J\u{202e}\": 1").expect("written");
    fs::write(path.join("seg-000000.jsonl.zst"), head((1, 0))).expect("written");
    let judgement = judged(&path, &home);
    let listing = Listing { tapes: vec![Row::from(&judgement)] };
    for format in [Format::Table, Format::Json, Format::Jsonl, Format::Yaml] {
        let told = render(&listing, format, &page()).expect("said") + &Verdict(&judgement).text(&page());
        assert!(!told.contains(['\u{1b}', '\u{202e}']) && !told.contains("\nspoof"), "{told:?}");
    }
}

fn paths(told: &Told) -> Vec<String> {
    let row =
        |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["path"].as_str().expect("text").to_owned();
    told.stdout.lines().map(row).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
