//! Audit records: with every change, and with none that was not made.

use shadowcat_control_plane::store::{
    Actor, AdminToken, AuditRecord, NewJoinToken, NewVersion, Outcome, Role, StoreError,
};

use crate::subject::Subject;
use crate::support::{FLEET, alice, hash_of, in_an_hour, joined, joining, version_of};

/// All records, oldest first.
async fn records(subject: &Subject) -> Vec<AuditRecord> {
    let mut records = subject.store.audit(FLEET, 0, 1_000).await.unwrap();
    records.reverse();
    records
}

pub(crate) async fn every_change_leaves_a_record(subject: Subject) {
    let store = &subject.store;
    let by = |verb: &str, resource: &str| Actor { verb: verb.to_owned(), resource: resource.to_owned(), ..alice() };
    store.commit(version_of("one"), alice()).await.unwrap();
    joined(&**store, "edge-1").await;
    store.remove_node(FLEET, "edge-1", by("nodes.remove", "node edge-1")).await.unwrap();
    let join = NewJoinToken { hash: hash_of("join"), fleet: FLEET.to_owned(), uses: 1, expires_at: in_an_hour() };
    store.create_join_token(join, by("nodes.token", "join token")).await.unwrap();
    let admin = AdminToken { hash: hash_of("a"), name: "bob".to_owned(), role: Role::Editor, expires_at: None };
    let nowhere = Actor { fleet: String::new(), ..by("tokens.create", "token bob") };
    store.create_admin_token(admin, nowhere).await.unwrap();
    store.record(by("nodes.drain", "node edge-1"), Outcome::Denied, "a viewer may not").await.unwrap();
    store.record(Actor { fleet: "another".to_owned(), ..alice() }, Outcome::Done, "").await.unwrap();

    let records = records(&subject).await;
    let told: Vec<(&str, &str, Outcome, &str)> = records
        .iter()
        .map(|record| {
            (record.actor.verb.as_str(), record.actor.resource.as_str(), record.outcome, record.reason.as_str())
        })
        .collect();
    let expected = [
        ("configurations.apply", "version 1", Outcome::Done, "because"),
        ("nodes.token", "node edge-1", Outcome::Done, ""),
        ("nodes.join", "node edge-1", Outcome::Done, ""),
        ("nodes.remove", "node edge-1", Outcome::Done, ""),
        ("nodes.token", "join token", Outcome::Done, ""),
        ("tokens.create", "token bob", Outcome::Done, ""),
        ("nodes.drain", "node edge-1", Outcome::Denied, "a viewer may not"),
    ];
    assert_eq!(told, expected, "a fleet's own, and what concerns none");
    assert_eq!((records[0].actor.name.as_str(), records[0].actor.address.as_str()), ("alice", "127.0.0.1:4711"));
    assert_eq!(records[0].sequence, 1);
    assert!(records.is_sorted_by_key(|record| record.sequence));
}

pub(crate) async fn what_did_not_happen_leaves_no_record(subject: Subject) {
    let store = &subject.store;
    let conflicting = NewVersion { if_version: Some(3), ..version_of("one") };
    assert!(matches!(store.commit(conflicting, alice()).await, Err(StoreError::Conflict { .. })));
    assert!(!store.remove_node(FLEET, "nobody", alice()).await.unwrap());
    assert!(records(&subject).await.is_empty());
}

pub(crate) async fn without_its_record_no_change_is_made(subject: Subject) {
    let store = &subject.store;
    joined(&**store, "edge-1").await;
    let token = NewJoinToken { hash: hash_of("edge-2"), fleet: FLEET.to_owned(), uses: 1, expires_at: in_an_hour() };
    store.create_join_token(token, alice()).await.unwrap();
    subject.sql("ALTER TABLE audit RENAME TO elsewhere").await.unwrap();
    assert!(matches!(store.commit(version_of("one"), alice()).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.remove_node(FLEET, "edge-1", alice()).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.join(joining("edge-2"), alice()).await, Err(StoreError::Unavailable(_))));
    subject.sql("ALTER TABLE elsewhere RENAME TO audit").await.unwrap();
    assert_eq!(store.current(FLEET).await.unwrap(), None);
    assert!(!store.node(FLEET, "edge-1").await.unwrap().unwrap().removed);
    assert_eq!(store.commit(version_of("one"), alice()).await.unwrap().number, 1);
    assert!(store.node(FLEET, "edge-2").await.unwrap().is_none());
    assert_eq!(store.join(joining("edge-2"), alice()).await.unwrap(), FLEET, "the token has lost no use");
}

pub(crate) async fn records_come_in_pages(subject: Subject) {
    for number in 0..5 {
        subject.store.record(alice(), Outcome::Done, &number.to_string()).await.unwrap();
    }
    let mut told = Vec::new();
    let mut before = 0;
    loop {
        let page = subject.store.audit(FLEET, before, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = last.sequence;
        told.extend(page.into_iter().map(|record| record.reason));
    }
    assert_eq!(told, ["4", "3", "2", "1", "0"]);
}

pub(crate) async fn a_record_is_neither_changed_nor_deleted(subject: Subject) {
    subject.store.record(alice(), Outcome::Denied, "no").await.unwrap();
    for attempt in ["UPDATE audit SET outcome = 'done'", "DELETE FROM audit"] {
        let refusal = subject.sql(attempt).await.unwrap_err().to_string();
        assert!(refusal.contains("append-only"), "{refusal}");
    }
    assert_eq!(records(&subject).await[0].outcome, Outcome::Denied);
}
