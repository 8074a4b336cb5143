//! Postgres gone, frozen, locked, and back.

use std::time::{Duration, SystemTime};

use shadowcat_control_plane::store::{
    self, AdminToken, AuthorityRow, NewJoinToken, Outcome, PostgresStore, Role, Seen, Store, StoreError,
};
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::postgres_server::PostgresServer;
use crate::support::{FLEET, SOON, alice, eventually, hash_of, in_an_hour, joined, joining, note, running, version_of};

/// What is promised of every operation.
const ANSWERED: Duration = Duration::from_secs(2);

/// By when an outage is noticed while nobody asks: a look, and its time-out.
const NOTICED: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_will_not_keep_is_no_outage() {
    let store = store::open(&PostgresServer::shared().await.database().await).await.unwrap();
    joined(&*store, "edge-1").await;
    let seen = Seen { instance: "a\0b".to_owned(), ..running(1) };
    let refused = store.note_nodes(&[note("edge-1", seen)]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unkept(_)), "{refused}");
    assert!(store.health().is_ok());
    store.note_nodes(&[note("edge-1", running(1))]).await.unwrap();
    store.close().await;
}

/// Every operation fails with words, and in time, while all the others do.
async fn assert_bounded(store: &dyn Store) {
    macro_rules! fails {
        ($($operation:ident($($argument:expr),*)),+ $(,)?) => { tokio::join!($(async {
            let started = Instant::now();
            let outcome = store.$operation($($argument),*).await;
            assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{} must fail", stringify!($operation));
            assert!(started.elapsed() < ANSWERED, "{} took {:?}", stringify!($operation), started.elapsed());
        }),+) };
    }
    let join = NewJoinToken { hash: hash_of("a"), fleet: FLEET.to_owned(), uses: 1, expires_at: in_an_hour() };
    let admin = AdminToken { hash: hash_of("a"), name: "bob".to_owned(), role: Role::Editor, expires_at: None };
    fails! {
        commit(version_of("lost"), alice()),
        current(FLEET),
        heads(),
        version(FLEET, 1),
        content(FLEET, 1),
        history(FLEET, 0, 10),
        fleets(),
        join(joining("edge-1"), alice()),
        renew_node(FLEET, "edge-1", in_an_hour()),
        note_nodes(&[note("edge-1", running(1))]),
        node(FLEET, "edge-1"),
        nodes(FLEET),
        remove_node(FLEET, "edge-1", alice()),
        create_join_token(join, alice()),
        create_admin_token(admin, alice()),
        admin_token(&hash_of("a")),
        has_admin_token(),
        authority(AuthorityRow { certificate: vec![], key: vec![] }),
        record(alice(), Outcome::Denied, ""),
        audit(FLEET, 0, 10),
    };
}

async fn is_back(store: &dyn Store) {
    eventually("the store is well again", SOON, || async { store.health().is_ok() }).await;
    eventually("it answers", SOON, || async { store.current(FLEET).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_was_stopped_fails_everything_in_time_and_is_found_again() {
    let server = PostgresServer::start().await;
    let store = PostgresStore::connect(&server.database().await).await.unwrap();
    let made = store.commit(version_of("one"), alice()).await.unwrap();
    let before = SystemTime::now();
    server.stop();
    eventually("the outage is noticed while nobody asks", NOTICED, || async { store.health().is_err() }).await;
    let since = store.health().unwrap_err();
    assert!(since >= before - Duration::from_millis(1) && since <= SystemTime::now());
    assert_bounded(&store).await;
    assert_eq!(store.health(), Err(since), "it is one outage");

    let mut changes = store.changes();
    changes.mark_unchanged();
    server.start_again().await;
    is_back(&store).await;
    tokio::time::timeout(SOON, changes.changed()).await.expect("whatever was missed is looked at").unwrap();
    assert_eq!(store.current(FLEET).await.unwrap(), Some(made));
    assert_eq!(store.commit(version_of("two"), alice()).await.unwrap().number, 2);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_froze_fails_everything_in_time_and_is_found_again() {
    let server = PostgresServer::start().await;
    let store = PostgresStore::connect(&server.database().await).await.unwrap();
    store.commit(version_of("one"), alice()).await.unwrap();
    server.freeze();
    assert_bounded(&store).await;
    assert!(store.health().is_err());
    server.thaw();
    is_back(&store).await;
    let number = store.commit(version_of("after"), alice()).await.unwrap().number;
    assert!(number == 2 || number == 3, "what failed may have been done all the same, and once: {number}");
    let history = store.history(FLEET, 0, 10).await.unwrap();
    assert_eq!(history.len() as u64, number);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_somebody_holds_is_told_in_time() {
    let server = PostgresServer::start().await;
    let url = server.database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE versions").execute(&mut other).await.unwrap();
    let started = Instant::now();
    let refusal = store.commit(version_of("one"), alice()).await.unwrap_err().to_string();
    assert!(started.elapsed() < ANSWERED, "{:?}", started.elapsed());
    assert!(refusal.contains("no answer within 1500ms: is a lock held?"), "{refusal}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(store.commit(version_of("one"), alice()).await.unwrap().number, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_waits_for_any_more_holds_no_connection() {
    let server = PostgresServer::start().await;
    let url = server.database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE versions").execute(&mut other).await.unwrap();
    for _ in 0..20 {
        let commit = store.commit(version_of("lost"), alice());
        assert!(tokio::time::timeout(Duration::from_millis(20), commit).await.is_err(), "the table is locked");
    }
    let started = Instant::now();
    store.nodes(FLEET).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(store.commit(version_of("one"), alice()).await.unwrap().number, 1);
}

#[tokio::test]
async fn a_postgres_that_is_not_there_is_told_in_time() {
    let server = PostgresServer::start().await;
    let url = server.database().await;
    server.stop();
    let started = Instant::now();
    let refusal = PostgresStore::connect(&url).await.unwrap_err();
    assert!(started.elapsed() < ANSWERED);
    assert!(matches!(refusal, StoreError::Unavailable(_)), "{refusal}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let url = PostgresServer::shared().await.database().await;
    let url = url.replace("/test_", "/absent_");
    let refusal = PostgresStore::connect(&url).await.unwrap_err().to_string();
    assert!(refusal.contains("does not exist"), "{refusal}");
}
