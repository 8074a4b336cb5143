//! Versions: appended, numbered, never changed.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use shadowcat_control_plane::store::{NewVersion, StoreError, Version};

use crate::subject::Subject;
use crate::support::{FLEET, alice, hash_of, joined, version_in, version_of};

/// At once, in the tests of what happens then.
const COMMITTERS: usize = 8;

pub(crate) async fn a_version_reads_back_as_it_was_committed(subject: Subject) {
    let store = &subject.store;
    assert_eq!(store.current(FLEET).await.unwrap(), None);
    store.commit(version_of("one"), alice()).await.unwrap();
    let made = store.commit(version_of("two"), alice()).await.unwrap();
    let expected = Version {
        fleet: FLEET.to_owned(),
        number: 2,
        digest: hash_of("two"),
        parent: 1,
        author: "alice".to_owned(),
        message: "because".to_owned(),
        created_at: made.created_at,
        routes: 2,
        upstreams: 3,
    };
    assert!(SystemTime::now().duration_since(made.created_at).unwrap() < Duration::from_secs(60));
    assert_eq!(made, expected);
    assert_eq!(store.current(FLEET).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.version(FLEET, 2).await.unwrap(), Some(expected));
    assert_eq!(store.version(FLEET, 1).await.unwrap().unwrap().parent, 0);
    assert_eq!(store.content(FLEET, 1).await.unwrap().unwrap(), "one");
    for number in [0, 3, u64::MAX] {
        assert_eq!(store.version(FLEET, number).await.unwrap(), None);
        assert_eq!(store.content(FLEET, number).await.unwrap(), None);
    }
}

pub(crate) async fn versions_are_numbered_without_gaps_by_eight_committers_at_once(subject: Subject) {
    const EACH: usize = 10;
    let store = &subject.store;
    let committers = (0..COMMITTERS).map(|committer| async move {
        for round in 0..EACH {
            store.commit(version_of(&format!("{committer} {round}")), alice()).await.unwrap();
        }
    });
    join_all(committers).await;
    let history = subject.store.history(FLEET, 0, 1_000).await.unwrap();
    let numbers: Vec<u64> = history.iter().rev().map(|version| version.number).collect();
    assert_eq!(numbers, (1..=(COMMITTERS * EACH) as u64).collect::<Vec<_>>());
    for version in history {
        let content = subject.store.content(FLEET, version.number).await.unwrap().unwrap();
        assert_eq!(shadowcat_config::digest(&content), version.digest);
    }
}

pub(crate) async fn a_commit_that_expects_another_version_is_a_conflict(subject: Subject) {
    let store = &subject.store;
    let expecting = |number| NewVersion { if_version: Some(number), ..version_of("new") };
    let conflict = store.commit(expecting(7), alice()).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict { expected: 7, current: 0 }), "{conflict}");
    assert_eq!(store.fleets().await.unwrap(), [""; 0], "what was refused leaves nothing behind");
    store.commit(expecting(0), alice()).await.unwrap();
    store.commit(expecting(1), alice()).await.unwrap();
    let conflict = store.commit(expecting(1), alice()).await.unwrap_err();
    let told = "the current version is 2, not 1: look at what changed, then apply again";
    assert_eq!(conflict.to_string(), told);
    assert_eq!(store.current(FLEET).await.unwrap().unwrap().number, 2);
    assert_eq!(store.health(), Ok(()), "a conflict is an answer");
}

pub(crate) async fn of_commits_that_expect_the_same_version_one_succeeds(subject: Subject) {
    let commits = (0..COMMITTERS).map(|committer| {
        let new = NewVersion { if_version: Some(0), ..version_of(&format!("by {committer}")) };
        subject.store.commit(new, alice())
    });
    let outcomes = join_all(commits).await;
    let made: Vec<&Version> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(subject.store.current(FLEET).await.unwrap().as_ref(), Some(made[0]));
    let conflicts = outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Conflict { current: 1, .. })));
    assert_eq!(conflicts.count(), COMMITTERS - 1);
}

pub(crate) async fn fleets_are_numbered_apart(subject: Subject) {
    let store = &subject.store;
    for fleet in ["edge", "core", "edge"] {
        store.commit(version_in(fleet, "one"), alice()).await.unwrap();
    }
    joined(&**store, "edge-1").await;
    let heads = store.heads().await.unwrap();
    let heads: Vec<(&str, u64)> = heads.iter().map(|head| (head.fleet.as_str(), head.number)).collect();
    assert_eq!(heads, [("core", 1), ("edge", 2)]);
    assert_eq!(store.fleets().await.unwrap(), ["core", FLEET, "edge"], "a node makes a fleet too");
}

pub(crate) async fn history_comes_in_pages(subject: Subject) {
    for number in 1..=5 {
        subject.store.commit(version_of(&number.to_string()), alice()).await.unwrap();
    }
    for (before, limit, expected) in
        [(0, 2, &[5, 4][..]), (4, 2, &[3, 2]), (2, 2, &[1]), (1, 2, &[]), (0, 0, &[]), (u64::MAX, 9, &[5, 4, 3, 2, 1])]
    {
        let page = subject.store.history(FLEET, before, limit).await.unwrap();
        let numbers: Vec<u64> = page.iter().map(|version| version.number).collect();
        assert_eq!(numbers, expected, "{limit} before {before}");
    }
}

pub(crate) async fn a_version_is_neither_changed_nor_deleted(subject: Subject) {
    let made = subject.store.commit(version_of("one"), alice()).await.unwrap();
    for attempt in ["UPDATE versions SET message = 'another'", "DELETE FROM versions"] {
        let refusal = subject.sql(attempt).await.unwrap_err().to_string();
        assert!(refusal.contains("append-only"), "{refusal}");
    }
    assert_eq!(subject.store.current(FLEET).await.unwrap(), Some(made));
}

pub(crate) async fn a_large_version_is_kept_whole(subject: Subject) {
    let content = "0123456789abcdef".repeat(256 * 1024);
    subject.store.commit(version_of(&content), alice()).await.unwrap();
    let kept = subject.store.content(FLEET, 1).await.unwrap().unwrap();
    assert!(kept == content, "4 MiB come back as they were");
}
