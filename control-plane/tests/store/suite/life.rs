//! Databases: opened, opened again, refused, closed.

use std::time::Instant;

use shadowcat_control_plane::store::{OPERATION_TIMEOUT, StoreError};

use crate::subject::Subject;
use crate::support::{FLEET, SOON, alice, joined, note, running, version_of};

pub(crate) async fn a_database_that_is_opened_again_is_the_same(subject: Subject) {
    let made = subject.store.commit(version_of("one"), alice()).await.unwrap();
    subject.store.close().await;
    let again = subject.open_again().await.unwrap();
    assert_eq!(again.epoch(), subject.store.epoch());
    assert_eq!(again.current(FLEET).await.unwrap(), Some(made));
    assert_eq!(again.content(FLEET, 1).await.unwrap().unwrap(), "one");
}

pub(crate) async fn two_databases_have_two_epochs(subject: Subject) {
    let other = subject.another().await;
    let (one, two) = (subject.store.epoch(), other.store.epoch());
    assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(one, two);
}

pub(crate) async fn a_newer_schema_is_refused(subject: Subject) {
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 SELECT 99, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    subject.sql(newer).await.unwrap();
    let Err(refusal) = subject.open_again().await else { panic!("it was opened") };
    assert!(matches!(refusal, StoreError::Unusable(_)));
    let told = "a newer version of shadowcat wrote it (its schema is 99, the newest known here is 4): run that version";
    assert!(refusal.to_string().ends_with(told), "{refusal}");
}

pub(crate) async fn a_schema_that_somebody_changed_is_refused(subject: Subject) {
    subject.sql("UPDATE _sqlx_migrations SET checksum = 'another'").await.unwrap();
    let Err(refusal) = subject.open_again().await else { panic!("it was opened") };
    assert!(refusal.to_string().contains("its schema 1 is not the one of this version of shadowcat"), "{refusal}");
}

pub(crate) async fn changes_are_told_and_notes_are_not(subject: Subject) {
    let store = &subject.store;
    let mut changes = store.changes();
    let told = |before: u64| *store.changes().borrow() > before;
    let before = *changes.borrow();
    store.commit(version_of("one"), alice()).await.unwrap();
    assert!(told(before), "a commit is told at once where it was made");
    let before = *changes.borrow();
    joined(&**store, "edge-1").await;
    assert!(told(before), "so is a node that joins");
    let before = *changes.borrow();
    store.remove_node(FLEET, "edge-1", alice()).await.unwrap();
    assert!(told(before), "and one that is removed");

    joined(&**store, "edge-2").await;
    let until = Instant::now() + SOON;
    while is_told_soon(&mut changes).await {
        assert!(Instant::now() < until, "what is told once more by a look or a notification ends");
    }
    store.note_nodes(&[note("edge-2", running(1))]).await.unwrap();
    assert!(!is_told_soon(&mut changes).await, "what a node says is for whoever asks");
    assert!(store.node(FLEET, "edge-2").await.unwrap().unwrap().last_seen.is_some());
}

/// Within the time of a look.
async fn is_told_soon(changes: &mut tokio::sync::watch::Receiver<u64>) -> bool {
    tokio::time::timeout(OPERATION_TIMEOUT, changes.changed()).await.is_ok()
}

pub(crate) async fn a_store_that_was_closed_fails_at_once(subject: Subject) {
    subject.store.close().await;
    let started = Instant::now();
    assert!(matches!(subject.store.current(FLEET).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(subject.store.commit(version_of("one"), alice()).await, Err(StoreError::Unavailable(_))));
    assert!(started.elapsed() < OPERATION_TIMEOUT);
}
