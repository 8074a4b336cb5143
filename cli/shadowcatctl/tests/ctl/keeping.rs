//! `tapes list`, `stats`, `delete`, `hold` and `release`: what is kept, and for how long.

use crate::fake::{EDITOR, Fake};
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
