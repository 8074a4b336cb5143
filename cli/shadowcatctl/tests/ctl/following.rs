//! `tapes tail`.

use std::process::Stdio;

use shadowcat_proto::admin::v1::search_tapes_request::What;
use shadowcat_proto::admin::v1::{self as admin, tail_tapes_response};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tonic::Status;

use crate::fake::{EDITOR, Fake};
use crate::recorded::{self, HOSTILE};
use crate::support::ctl;

fn told(kind: tail_tapes_response::Kind) -> admin::TailTapesResponse {
    admin::TailTapesResponse { kind: Some(kind) }
}

fn tailed(frame: admin::Frame) -> admin::TailTapesResponse {
    told(tail_tapes_response::Kind::Record(recorded::recorded(frame, "")))
}

/// A fleet in which three calls end.
fn happening() -> Fake {
    let fake = Fake::new();
    let nodes = admin::TailedNodes { live: vec!["edge-1".to_owned()], stored: vec!["edge-2".to_owned()] };
    let mut script = vec![told(tail_tapes_response::Kind::Nodes(nodes))];
    script.extend(recorded::calls().into_iter().map(tailed));
    script.insert(2, told(tail_tapes_response::Kind::Skipped(12)));
    fake.state().tapes.tailed = script;
    fake
}

/// The program, while it follows.
struct Following {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    errors: Lines<BufReader<ChildStderr>>,
}

async fn follow(fake: &Fake, arguments: &[&str]) -> Following {
    let url = fake.serve().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_shadowcatctl"))
        .args(["tapes", "tail", "--server", &url, "--token", EDITOR])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let errors = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    Following { child, output, errors }
}

impl Following {
    async fn lines(&mut self, number: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < number {
            lines.push(self.output.next_line().await.expect("readable").expect("it goes on"));
        }
        lines
    }
}

#[tokio::test]
async fn calls_are_rows_as_they_end_and_an_interrupt_is_a_good_end() {
    let fake = happening();
    let mut following = follow(&fake, &["-f", "--tool", "search", "--node", "edge-1", "refund"]).await;
    let rows = following.lines(4).await;
    assert!(rows[0].starts_with("TIME ") && rows[1].contains("←    tools/call search"), "{rows:?}");
    assert_eq!(
        following.errors.next_line().await.expect("readable").as_deref(),
        Some("followed live: edge-1; as stored only, some seconds later: edge-2")
    );
    let skipped = following.errors.next_line().await.expect("readable").expect("told");
    assert!(skipped.starts_with("12 records skipped"), "{skipped}");
    let id = following.child.id().expect("it runs").to_string();
    let interrupted = Command::new("kill").args(["-INT", &id]).status().await.expect("kill runs");
    assert!(interrupted.success());
    assert_eq!(following.child.wait().await.expect("it ends").code(), Some(0));
    assert_eq!(following.errors.next_line().await.expect("readable"), None, "nothing went wrong");
    let asked = fake.state().tapes.followed.clone().expect("asked");
    assert_eq!(asked.what(), What::Calls);
    let selection = asked.selection.expect("said");
    assert_eq!([selection.text, selection.name, selection.node], ["refund", "search", "edge-1"]);
    assert_eq!((selection.since, selection.until), (None, None));
}

#[tokio::test]
async fn programs_get_every_frame_with_its_record() {
    let fake = happening();
    let mut following = follow(&fake, &["-o", "jsonl", "--frames"]).await;
    for line in following.lines(3).await {
        let item: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert!(item["record"]["seq"].is_number(), "{line}");
    }
    assert_eq!(fake.state().tapes.followed.as_ref().expect("asked").what(), What::Frames);
}

#[tokio::test]
async fn following_ends_when_nobody_reads_though_nothing_happens() {
    let mut following = follow(&happening(), &[]).await;
    following.lines(4).await;
    drop(following.output);
    assert_eq!(following.child.wait().await.expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn a_control_plane_that_goes_away_is_a_failure_after_what_it_told() {
    let fake = happening();
    fake.state().tapes.breaks = Some(Status::unavailable("the control plane stops"));
    let url = fake.serve().await;
    let told = ctl(&["tapes", "tail"]).at(&url, EDITOR).run().await;
    assert_eq!((told.code, told.stdout.lines().count()), (4, 4), "{told:?}");
    assert!(told.stderr.contains("cannot follow the tapes") && told.stderr.contains("stops"), "{told:?}");
}

#[tokio::test]
async fn hostile_frames_do_not_drive_the_terminal() {
    let fake = Fake::new();
    let nodes = admin::TailedNodes { live: vec![HOSTILE.to_owned()], stored: Vec::new() };
    fake.state().tapes.tailed =
        vec![told(tail_tapes_response::Kind::Nodes(nodes)), tailed(recorded::ended(2, HOSTILE, HOSTILE))];
    fake.state().tapes.breaks = Some(Status::unavailable(HOSTILE));
    let url = fake.serve().await;
    let told = ctl(&["tapes", "tail"]).at(&url, EDITOR).run().await;
    assert_eq!((told.stdout.lines().count(), told.stderr.lines().count()), (2, 2), "{told:?}");
    for driving in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2069}', '\u{e0041}'] {
        assert!(!told.stdout.contains(driving) && !told.stderr.contains(driving), "{driving:?}");
    }
}
