//! `tapes list`, `stats`, `delete`, `hold` and `release`: what is kept, and for how long.

use crate::fake::{EDITOR, Fake, VIEWER};
use crate::support::{Told, ctl};

async fn tapes(fake: &Fake, arguments: &[&str]) -> Told {
    let url = fake.serve().await;
    ctl(&[&["tapes"], arguments].concat()).at(&url, EDITOR).run().await
}

#[tokio::test]
async fn tapes_are_listed_by_where_and_when() {
    let fake = Fake::new();
    let line = "list --route r --upstream u --node n --principal p --session kX3vQ9aZ --since 2027-01-15T08:00:00Z --limit 2 --cursor c1";
    let told = tapes(&fake, &line.split(' ').collect::<Vec<_>>()).await;
    assert_eq!((told.code, told.stdout.lines().count()), (0, 4), "{told:?}");
    assert!(told.stdout.contains("  held  ") && told.stdout.ends_with("older ones: --cursor c2\n"), "{told:?}");
    let asked = fake.state().tapes.listed.clone().expect("asked");
    assert_eq!((asked.limit, asked.cursor.as_str()), (2, "c1"));
    let selection = asked.selection.expect("said");
    assert_eq!(selection.since.expect("said").seconds, 1_800_000_000);
    assert_eq!([selection.route, selection.upstream, selection.node, selection.principal], ["r", "u", "n", "p"]);
    assert_eq!(selection.session, "kX3vQ9aZ");
}

#[tokio::test]
async fn what_is_missing_is_told_in_words() {
    let told = tapes(&Fake::new(), &["stats"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.stdout.contains("edge-2 (abababab): 12 frames missing between 1200 and 1213: queue_full\n"),
        "{told:?}"
    );
    assert!(
        told.stdout.ends_with("missing after 90222: crash; up to 2 s before the crash may be missing\n"),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_is_deleted_is_what_was_named_and_what_is_on_hold_stays() {
    let fake = Fake::new();
    fake.state().tapes.held = vec!["b".to_owned()];
    let told = tapes(&fake, &["delete", "a", "b", "--yes"]).await;
    assert_eq!(
        (told.code, told.stdout.as_str()),
        (0, "1842 frames of 3.0Mi deleted; on hold, and kept: b\n"),
        "{told:?}"
    );
    let told = tapes(&fake, &["delete", "--until", "2027-01-15T08:00:00Z", "--route", "r", "--dry-run"]).await;
    assert!(told.stdout.starts_with("1842 frames of 3.0Mi would be deleted; "), "{told:?}");
    let asked = fake.state().tapes.deleted.clone();
    assert_eq!(asked.iter().map(|request| request.dry_run).collect::<Vec<_>>(), [false, true]);
    assert_eq!(asked[0].selection.as_ref().expect("said").ids, ["a", "b"]);
    let selection = asked[1].selection.clone().expect("said");
    assert_eq!((selection.until.expect("said").seconds, selection.route.as_str()), (1_800_000_000, "r"));
}

#[tokio::test]
async fn what_is_to_be_deleted_and_is_not_there_is_a_failure() {
    let fake = Fake::new();
    let (one, two) = ("no tape or call has the id absent", "no tape or call has any of the ids absent, absent-2");
    let fits = "nothing is recorded under absent that fits the other flags";
    for (words, what) in [
        (&["absent", "--yes"][..], one),
        (&["absent", "--dry-run"], one),
        (&["absent", "absent-2", "--yes"], two),
        (&["absent", "--yes", "--since", "1h"], fits),
    ] {
        let told = tapes(&fake, &[&["delete"], words].concat()).await;
        let said = format!("shadowcatctl: {what}: nothing was deleted; see `shadowcatctl tapes list`\n");
        assert_eq!((told.code, told.stdout.as_str(), told.stderr), (1, "", said));
    }
    // What is meant by other things than its id may be nothing.
    let told = tapes(&fake, &["delete", "--until", "30d", "--yes"]).await;
    assert_eq!(told.code, 0, "{told:?}");
}

#[tokio::test]
async fn nothing_is_deleted_without_a_yes_or_without_being_named() {
    let fake = Fake::new();
    let told = tapes(&fake, &["delete", "a"]).await;
    assert_eq!((told.code, told.stderr.contains("--yes")), (2, true), "{told:?}");
    let told = tapes(&fake, &["delete", "--route", "r", "--since", "1h", "--yes"]).await;
    assert_eq!((told.code, told.stderr.contains("--until")), (2, true), "{told:?}");
    assert!(fake.state().tapes.deleted.is_empty());
}

#[tokio::test]
async fn a_hold_says_what_it_changed_and_why_for_the_audit() {
    let fake = Fake::new();
    let told = tapes(&fake, &["hold", "a", "b", "--reason", "incident 12"]).await;
    assert_eq!((told.code, told.stdout.as_str()), (0, "held: b; held before already: a\n"), "{told:?}");
    let told = tapes(&fake, &["release", "a", "b", "-o", "jsonl"]).await;
    assert_eq!(told.stdout, "{\"changed\":[\"b\"]}\n", "{told:?}");
    let holds = fake.state().tapes.holds.clone();
    assert_eq!((holds[0].release, holds[0].reason.as_str(), holds[1].release), (false, "incident 12", true));
    assert_eq!(holds[1].tapes, ["a", "b"]);
}

#[tokio::test]
async fn a_viewer_may_look_and_keeps_and_deletes_nothing() {
    let url = Fake::new().serve().await;
    for words in [&["tapes", "delete", "a", "--yes"][..], &["tapes", "hold", "a"], &["tapes", "release", "a"]] {
        assert_eq!(ctl(words).at(&url, VIEWER).run().await.code, 5, "{words:?}");
    }
    assert_eq!(ctl(&["tapes", "list"]).at(&url, VIEWER).run().await.code, 0);
}
