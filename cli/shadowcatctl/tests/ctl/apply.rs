//! Versions: made, planned, compared, taken back, and refused.

use std::fs;

use shadowcat_proto::admin::v1 as admin;
use tempfile::TempDir;
use tonic::Status;

use crate::answers::{self, FLEET};
use crate::fake::{EDITOR, FORBIDDEN, Fake, VIEWER};
use crate::support::{Told, ctl};

/// A directory with the fleet's file, as `changed` leaves it.
fn file(changed: impl FnOnce(&str) -> String) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("fleet.yaml"), changed(FLEET)).expect("written");
    directory
}

fn as_it_is() -> TempDir {
    file(str::to_owned)
}

async fn run(fake: &Fake, directory: &TempDir, arguments: &[&str]) -> Told {
    let url = fake.serve().await;
    ctl(arguments).at(&url, EDITOR).in_directory(directory.path()).run().await
}

#[tokio::test]
async fn an_applied_file_is_a_version_that_is_followed_to_every_node() {
    let fake = Fake::new();
    let told = run(&fake, &as_it_is(), &["apply", "-f", "fleet.yaml", "-m", "the first"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("version 1 is committed, for 3 nodes"), "{told:?}");
    assert!(told.stdout.ends_with("applied 3/3\n"), "{told:?}");
    assert_eq!(told.stderr, "", "no progress where nobody looks");
    assert_eq!(fake.state().versions[0].0.message, "the first");
}

#[tokio::test]
async fn standard_input_and_directories_are_applied_too() {
    let fake = Fake::new();
    let url = fake.serve().await;
    let told = ctl(&["apply", "-f", "-", "--no-wait"]).at(&url, EDITOR).input(FLEET).run().await;
    assert_eq!(told.code, 0, "{told:?}");
    let directory = as_it_is();
    let told = ctl(&["apply", "-f", ".", "--no-wait"]).at(&url, EDITOR).in_directory(directory.path()).run().await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("nothing changed: version 1"), "{told:?}");
    assert_eq!(fake.state().versions.len(), 1);
}

#[tokio::test]
async fn every_mistake_is_told_by_line_and_column_and_nothing_is_sent() {
    let directory =
        file(|text| text.replace("upstream: everything", "upstream: everythin").replace("http://", "htp://"));
    // Nothing listens there: who sends something finds out.
    let told =
        ctl(&["apply", "-f", "fleet.yaml"]).at("http://127.0.0.1:1", EDITOR).in_directory(directory.path()).run().await;
    assert_eq!(told.code, 3, "{told:?}");
    let lines: Vec<&str> = told.stderr.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with("fleet.yaml:5:15: routes[0].targets[0].upstream: ")), "{told:?}");
    assert!(lines.iter().any(|line| line.starts_with("fleet.yaml:10:12: ")), "{told:?}");
    assert!(lines.last().is_some_and(|line| line.ends_with("nothing was changed")), "{told:?}");
}

#[tokio::test]
async fn mistakes_that_only_the_control_plane_finds_are_told_by_line_too() {
    let directory = file(|text| text.replace("name: workbench", &format!("name: {FORBIDDEN}")));
    for command in ["apply", "plan"] {
        let fake = Fake::new();
        let told = run(&fake, &directory, &[command, "-f", "fleet.yaml"]).await;
        assert_eq!(told.code, 3, "{told:?}");
        let expected = "fleet.yaml:2:9: routes[0].name: this name is taken (choose another)\n\
                        shadowcatctl: 1 mistake; nothing was changed\n";
        assert_eq!(told.stderr, expected);
        assert!(fake.state().versions.is_empty());
    }
}

#[tokio::test]
async fn a_plan_and_a_dry_run_change_nothing() {
    let fake = Fake::new();
    let directory = as_it_is();
    let planned = run(&fake, &directory, &["plan", "-f", "fleet.yaml"]).await;
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.stdout.starts_with("as the first version:\n+ routes files\n"), "{planned:?}");
    let dry = run(&fake, &directory, &["apply", "--dry-run", "-f", "fleet.yaml"]).await;
    assert_eq!(dry.stdout, format!("{}dry run: nothing was changed\n", planned.stdout));
    let dry = run(&fake, &directory, &["apply", "--dry-run", "--if-version", "7", "-f", "fleet.yaml"]).await;
    assert_eq!(dry.code, 6, "{dry:?}");
    assert!(fake.state().versions.is_empty());
}

#[tokio::test]
async fn a_conflict_shows_whose_version_is_in_the_way() {
    let fake = Fake::new();
    let directory = as_it_is();
    run(&fake, &directory, &["apply", "-f", "fleet.yaml", "-m", "mine", "--no-wait"]).await;
    let told = run(&fake, &directory, &["apply", "-f", "fleet.yaml", "--if-version", "0"]).await;
    assert_eq!(told.code, 6, "{told:?}");
    assert!(told.stderr.contains("expected version 0, but the current one is 1: admin made it"), "{told:?}");
    assert!(told.stderr.contains("(mine)") && told.stderr.contains("--if-version 1"), "{told:?}");
}

#[tokio::test]
async fn a_rejection_names_the_node_and_the_reason() {
    let fake = Fake::new();
    fake.state().progress = vec![answers::progress(2, vec![answers::rejection("edge-1")])];
    let told = run(&fake, &as_it_is(), &["apply", "-f", "fleet.yaml"]).await;
    assert_eq!(told.code, 7, "{told:?}");
    assert!(told.stdout.ends_with("applied 2/3, rejected by 1\n"), "{told:?}");
    assert!(told.stderr.starts_with("edge-1: routes[0].targets[0].upstream: no upstream named"), "{told:?}");
    assert!(told.stderr.contains("version 12 was rejected by 1 node"), "{told:?}");
}

#[tokio::test]
async fn a_node_that_went_away_meanwhile_is_named() {
    let fake = Fake::new();
    let mut progress = answers::progress(2, Vec::new());
    (progress.done, progress.left) = (true, vec!["edge-1".to_owned()]);
    fake.state().progress = vec![progress];
    let told = run(&fake, &as_it_is(), &["apply", "-f", "fleet.yaml"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.stdout.ends_with("applied 2/3; went away without it, and gets it on coming back: edge-1\n"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_version_that_was_overtaken_is_no_failure() {
    let fake = Fake::new();
    let overtaken = admin::Progress { done: true, superseded_by: 13, ..answers::progress(1, Vec::new()) };
    fake.state().progress = vec![overtaken];
    let told = run(&fake, &as_it_is(), &["apply", "-f", "fleet.yaml"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("version 13 took its place"), "{told:?}");
}

#[tokio::test]
async fn losing_the_control_plane_after_the_commit_says_that_it_is_committed() {
    let fake = Fake::new();
    fake.state().progress.truncate(2);
    let told = run(&fake, &as_it_is(), &["apply", "-f", "fleet.yaml"]).await;
    assert_eq!(told.code, 4, "{told:?}");
    assert!(told.stderr.contains("version 1 is committed, but"), "{told:?}");
}

#[tokio::test]
async fn programs_get_the_commit_and_each_step_of_its_way() {
    let fake = Fake::new();
    let directory = as_it_is();
    let told = run(&fake, &directory, &["apply", "-f", "fleet.yaml", "-o", "jsonl"]).await;
    let lines: Vec<serde_json::Value> =
        told.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["version"]["ref"]["number"], "1", "{told:?}");
    assert_eq!(lines.last().map(|line| &line["applied"]), Some(&3.into()), "{told:?}");
    let told = run(&fake, &directory, &["apply", "-f", "fleet.yaml", "-o", "json"]).await;
    let one: serde_json::Value = serde_json::from_str(&told.stdout).expect("one document");
    assert_eq!(one["version"]["ref"]["number"], "1", "{told:?}");
}

#[tokio::test]
async fn a_rollback_is_a_new_version_with_old_content() {
    let fake = Fake::new();
    let directory = as_it_is();
    run(&fake, &directory, &["apply", "-f", "fleet.yaml", "--no-wait"]).await;
    let other = file(|text| text.replace("/mcp }", "/other }"));
    run(&fake, &other, &["apply", "-f", "fleet.yaml", "--no-wait"]).await;
    let told = run(&fake, &directory, &["rollback", "1", "-m", "back"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("version 3 is committed") && told.stdout.ends_with("applied 3/3\n"), "{told:?}");
    let history = run(&fake, &directory, &["history"]).await;
    assert_eq!(history.stdout.lines().count(), 4, "{history:?}");
    assert!(history.stdout.contains("back"), "{history:?}");
    assert_eq!(run(&fake, &directory, &["diff", "1..3"]).await.stdout, "the versions are equal\n");
    assert_eq!(run(&fake, &directory, &["rollback", "9"]).await.code, 1);
    assert_eq!(run(&fake, &directory, &["rollback", "1", "--if-version", "2"]).await.code, 6);
}

#[tokio::test]
async fn a_shown_version_can_be_applied_and_its_seed_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let fake = Fake::new();
    let directory = as_it_is();
    run(&fake, &directory, &["apply", "-f", "fleet.yaml", "--no-wait"]).await;
    let shown = run(&fake, &directory, &["show"]).await;
    let url = fake.serve().await;
    let again = ctl(&["apply", "-f", "-", "--no-wait"]).at(&url, EDITOR).input(&shown.stdout).run().await;
    assert!(again.stdout.contains("nothing changed"), "{again:?}");
    let told = run(&fake, &directory, &["show", "1", "--seed", "fleet.seed"]).await;
    assert_eq!(told.stdout, "version 1 is in fleet.seed, 18 bytes\n", "{told:?}");
    let seed = directory.path().join("fleet.seed");
    assert_eq!(fs::read(&seed).expect("written"), b"SHCATCFG and so on");
    assert_eq!(fs::metadata(&seed).expect("there").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn who_may_not_is_told_so_with_an_exit_code_of_its_own() {
    let fake = Fake::new();
    let url = fake.serve().await;
    let directory = as_it_is();
    let apply = |token: &str| ctl(&["apply", "-f", "fleet.yaml"]).at(&url, token).in_directory(directory.path()).run();
    let wrong = apply("shadowcat_wrong").await;
    assert_eq!(wrong.code, 5, "{wrong:?}");
    assert!(wrong.stderr.contains("does not take the token") && wrong.stderr.contains("--token"), "{wrong:?}");
    let viewer = apply(VIEWER).await;
    assert_eq!(viewer.code, 5, "{viewer:?}");
    assert!(viewer.stderr.contains("a viewer may not change the configuration"), "{viewer:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_or_unwell_is_not_reachable() {
    let directory = as_it_is();
    let apply = |url: &str| ctl(&["apply", "-f", "fleet.yaml"]).at(url, EDITOR).in_directory(directory.path()).run();
    let gone = apply("http://127.0.0.1:1").await;
    assert_eq!(gone.code, 4, "{gone:?}");
    assert!(
        gone.stderr.contains("no connection to http://127.0.0.1:1") && gone.stderr.contains("--server"),
        "{gone:?}"
    );
    let fake = Fake::new();
    fake.state().failure = Some(Status::unavailable("the database is not available"));
    let url = fake.serve().await;
    let unwell = apply(&url).await;
    assert_eq!(unwell.code, 4, "{unwell:?}");
    assert!(unwell.stderr.contains("the database is not available"), "{unwell:?}");
}
