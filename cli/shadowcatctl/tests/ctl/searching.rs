//! `tapes search`.

use shadowcat_proto::admin::v1::search_tapes_request::What;
use tonic::Status;

use crate::fake::{EDITOR, Fake};
use crate::recorded::{self, HOSTILE};
use crate::support::{Told, ctl};

/// A control plane that finds three calls, in two steps.
fn finds(next: &str, remark: &str) -> Fake {
    let fake = Fake::new();
    let calls = recorded::calls().into_iter().map(recorded::found);
    let mut told: Vec<_> = calls.collect();
    told.insert(1, recorded::searching(900));
    told.push(recorded::search_end(next, remark));
    fake.state().tapes.found = told;
    fake
}

async fn search(fake: &Fake, arguments: &[&str]) -> Told {
    let url = fake.serve().await;
    ctl(&[&["tapes", "search"], arguments].concat()).at(&url, EDITOR).run().await
}

#[tokio::test]
async fn found_calls_are_rows_and_nothing_else_is_said() {
    let told = search(&finds("", ""), &[]).await;
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
    let rows: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(rows.len(), 4, "{told:?}");
    assert!(rows[0].starts_with("TIME ") && rows[2].contains("rpc_error -32602"), "{told:?}");
    assert!(
        rows[1].starts_with("2027-01-15T07:55:08.000Z  3f9a21c0-8  edge-1  workbench  tools/call search"),
        "{told:?}"
    );
}

#[tokio::test]
async fn every_flag_is_part_of_what_is_asked() {
    let fake = finds("", "");
    let line = "refund --tool files_* --outcome ok,error --route r --upstream u --node n --principal p --session kX3vQ9aZ \
                --trace 0af7651916cd43dd8448eb211c80319c --slower-than 500ms --larger-than 10Ki --since 2027-01-15T08:00:00Z \
                --until 2027-01-15T09:00:00Z --filter size>1 --tape a --tape b --frames --limit 7 --cursor c1";
    let told = search(&fake, &line.split_whitespace().collect::<Vec<_>>()).await;
    assert_eq!(told.code, 0, "{told:?}");
    let asked = fake.state().tapes.searched.clone().expect("asked");
    assert_eq!((asked.what(), asked.limit, asked.cursor.as_str()), (What::Frames, 7, "c1"));
    let selection = asked.selection.expect("said");
    assert_eq!((selection.method.as_str(), selection.name.as_str()), ("tools/call", "files_*"));
    assert_eq!((selection.text.as_str(), selection.filter.as_str()), ("refund", "size>1"));
    assert_eq!((selection.latency_us, selection.size), (500_000, 10_240));
    assert_eq!(
        (selection.outcomes, selection.ids),
        (vec!["ok".to_owned(), "error".to_owned()], vec!["a".into(), "b".into()])
    );
    assert_eq!(selection.since.expect("said").seconds, 1_800_000_000);
    assert_eq!(selection.until.expect("said").seconds, 1_800_003_600);
    assert_eq!([selection.route, selection.upstream, selection.node, selection.principal], ["r", "u", "n", "p"]);
}

#[tokio::test]
async fn one_thing_is_named_at_a_time_and_outcomes_are_known_ones() {
    for wrong in [
        &["--tool", "a", "--method", "b"][..],
        &["--tool", "a", "--prompt", "b"],
        &["--outcome", "fine"],
        &["--since", "x"],
    ] {
        assert_eq!(search(&Fake::new(), wrong).await.code, 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn nothing_found_is_no_failure_and_is_said_beside_the_output() {
    let fake = Fake::new();
    fake.state().tapes.found = vec![recorded::search_end("", "")];
    let told = search(&fake, &["refund"]).await;
    assert_eq!((told.code, told.stdout.as_str()), (0, ""), "{told:?}");
    assert_eq!(told.stderr, "nothing fits; 1842 frames looked at\n");
    let told = search(&fake, &["refund", "-o", "json"]).await;
    assert_eq!(told.stdout, "{\n  \"frames\": []\n}\n");
}

#[tokio::test]
async fn a_search_that_was_cut_says_why_and_with_which_command_it_goes_on() {
    let fake = finds("c2", "two million frames were looked at; narrow it with --since");
    let told = search(&fake, &["it's", "--token", EDITOR, "--since", "2027-01-15T08:00:00Z"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    let expected = "two million frames were looked at; narrow it with --since\n\
                    there may be more: shadowcatctl tapes search 'it'\\''s' --since 2027-01-15T08:00:00Z --cursor c2\n";
    assert_eq!(told.stderr, expected);
}

#[tokio::test]
async fn a_stream_that_ends_in_the_middle_is_a_failure_after_what_it_brought() {
    for breaks in [None, Some(Status::unavailable("the control plane stops"))] {
        let fake = finds("", "");
        fake.state().tapes.found.pop();
        fake.state().tapes.breaks = breaks;
        for format in ["table", "json", "jsonl", "yaml"] {
            let told = search(&fake, &["-o", format]).await;
            assert_eq!(told.code, 4, "{told:?}");
            assert!(told.stderr.starts_with("shadowcatctl: cannot search the tapes: "), "{told:?}");
            assert!(told.stdout.contains("3f9a21c0-4"), "{told:?}");
        }
    }
}

#[tokio::test]
async fn a_mistake_in_the_filter_is_told_as_the_server_found_it() {
    let fake = Fake::new();
    fake.state().failure =
        Some(Status::invalid_argument("filter: there is no name \"toool\" (did you mean \"tool\"?)"));
    let told = search(&fake, &["--filter", "toool == \"a\""]).await;
    assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{told:?}");
    assert!(told.stderr.contains("filter: there is no name \"toool\" (did you mean \"tool\"?)"), "{told:?}");
}

#[tokio::test]
async fn hostile_names_neither_drive_the_terminal_nor_break_the_table() {
    let fake = Fake::new();
    let huge = recorded::ended(4, &"x".repeat(1 << 20), "ok");
    fake.state().tapes.found = vec![
        recorded::found(recorded::ended(2, HOSTILE, HOSTILE)),
        recorded::found(huge),
        recorded::search_end("", HOSTILE),
    ];
    for format in ["table", "json", "jsonl", "yaml"] {
        let told = search(&fake, &["-o", format]).await;
        assert_eq!((told.code, told.stderr.lines().count()), (0, 1), "{format}");
        for driving in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2069}', '\u{e0041}'] {
            assert!(!told.stdout.contains(driving) && !told.stderr.contains(driving), "{format}: {driving:?}");
        }
        if format == "table" {
            assert_eq!(told.stdout.lines().count(), 3, "{told:?}");
            assert!(told.stdout.len() < 2_000, "{}", told.stdout.len());
        }
    }
}
