//! Two replicas on one Postgres.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use shadowcat_control_plane::store::Store;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout_at};

use crate::subject::Subject;
use crate::support::{FLEET, SOON, alice, eventually, joined, version_of};

/// What is promised, whatever becomes of notifications.
const SEEN_ELSEWHERE: Duration = Duration::from_secs(2);

/// Commits that are told one after the other. By looks alone that takes a second each.
const COMMITS: u32 = 10;

/// For all of them, on a busy machine.
const NOTIFIED: Duration = Duration::from_secs(4);

async fn replicas() -> (Subject, Arc<dyn Store>) {
    let subject = Subject::in_postgres().await;
    let other = subject.open_again().await.unwrap();
    assert_eq!(other.epoch(), subject.store.epoch());
    (subject, other)
}

/// Processes of the database's own that listen.
async fn listeners(subject: &Subject) -> Vec<i32> {
    let mut connection = PgConnection::connect(&subject.url).await.unwrap();
    sqlx::query_scalar::<sqlx::Postgres, i32>(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap()
}

async fn all_listen(subject: &Subject, count: usize) {
    eventually("every replica listens", SOON, || async { listeners(subject).await.len() == count }).await;
}

/// Ends the connections that listen, and says whose they were.
async fn end_listeners(subject: &Subject) -> Vec<i32> {
    let ended = listeners(subject).await;
    for process in &ended {
        subject.sql(&format!("SELECT pg_terminate_backend({process})")).await.unwrap();
    }
    ended
}

/// Commits here, and waits until the other replica was told and sees it.
async fn commit_is_seen(here: &dyn Store, there: &dyn Store) -> Duration {
    let mut changes = there.changes();
    changes.mark_unchanged();
    let made = here.commit(version_of("new"), alice()).await.unwrap();
    let started = Instant::now();
    while there.current(FLEET).await.unwrap().as_ref() != Some(&made) {}
    timeout_at(started + SOON, changes.changed()).await.expect("it is told").unwrap();
    started.elapsed()
}

async fn assert_notified(here: &dyn Store, there: &dyn Store) {
    let mut took = Duration::ZERO;
    for _ in 0..COMMITS {
        took += commit_is_seen(here, there).await;
    }
    assert!(took < NOTIFIED, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_told_to_the_other_replica_by_a_notification() {
    let (subject, other) = replicas().await;
    all_listen(&subject, 2).await;
    assert_notified(&*subject.store, &*other).await;
    assert_notified(&*other, &*subject.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_removed_is_told_to_the_other_replica_within_a_second() {
    let (subject, other) = replicas().await;
    all_listen(&subject, 2).await;
    joined(&*subject.store, "edge-1").await;
    let mut changes = other.changes();
    // Whatever is still on its way of the node that joined: a look, or a notification.
    while timeout_at(Instant::now() + SEEN_ELSEWHERE, changes.changed()).await.is_ok() {}
    let started = Instant::now();
    subject.store.remove_node(FLEET, "edge-1", alice()).await.unwrap();
    timeout_at(started + SOON, changes.changed()).await.expect("it is told").unwrap();
    assert!(other.node(FLEET, "edge-1").await.unwrap().unwrap().removed);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_notifications_a_commit_is_seen_within_two_seconds() {
    let (subject, other) = replicas().await;
    subject.sql("DROP TRIGGER versions_are_told ON versions").await.unwrap();
    for _ in 0..3 {
        let took = commit_is_seen(&*subject.store, &*other).await;
        assert!(took < SEEN_ELSEWHERE, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_was_cut_off_comes_back_and_a_commit_meanwhile_is_seen() {
    let (subject, other) = replicas().await;
    all_listen(&subject, 2).await;
    for _ in 0..3 {
        let ended = end_listeners(&subject).await;
        let took = commit_is_seen(&*subject.store, &*other).await;
        assert!(took < SEEN_ELSEWHERE, "{took:?}");
        eventually("both listen again", SOON, || async {
            let listening = listeners(&subject).await;
            listening.len() == 2 && listening.iter().all(|process| !ended.contains(process))
        })
        .await;
    }
    assert_notified(&*subject.store, &*other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_replicas_number_one_fleet() {
    let (subject, other) = replicas().await;
    let commit = |store: Arc<dyn Store>| async move { store.commit(version_of("new"), alice()).await.unwrap().number };
    let commits = (0..20).flat_map(|_| [Arc::clone(&subject.store), Arc::clone(&other)]).map(commit);
    let mut numbers = join_all(commits).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_on_an_empty_database_agree() {
    let url = crate::postgres_server::PostgresServer::shared().await.database().await;
    let open = || shadowcat_control_plane::store::open(&url);
    let (a, b, c) = tokio::join!(open(), open(), open());
    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
    assert!(a.epoch() == b.epoch() && b.epoch() == c.epoch());
}
