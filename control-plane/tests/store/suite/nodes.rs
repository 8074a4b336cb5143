//! Nodes: joined, noted, removed.

use std::time::{Duration, SystemTime};

use shadowcat_control_plane::store::{Note, Seen};

use crate::subject::Subject;
use crate::support::{FLEET, alice, in_an_hour, joining, running};

pub(crate) async fn a_node_reads_back_as_it_was_noted(subject: Subject) {
    let store = &subject.store;
    assert!(store.node(FLEET, "edge-1").await.unwrap().is_none());
    store.put_node(joining("edge-1")).await.unwrap();
    let node = store.node(FLEET, "edge-1").await.unwrap().unwrap();
    assert_eq!((node.fleet.as_str(), node.name.as_str(), node.removed), (FLEET, "edge-1", false));
    assert_eq!((node.certificate_expires_at, node.last_seen, &node.seen), (in_an_hour(), None, &Seen::default()));

    let seen = Seen { refusal: Some((4, "routes[0]: no\nroutes[1]: no".to_owned())), ..running(3) };
    store.note_node(FLEET, "edge-1", seen.clone()).await.unwrap();
    let node = store.node(FLEET, "edge-1").await.unwrap().unwrap();
    assert_eq!(node.seen, seen);
    assert!(SystemTime::now().duration_since(node.last_seen.unwrap()).unwrap() < Duration::from_secs(60));
    store.note_node(FLEET, "edge-1", running(5)).await.unwrap();
    assert_eq!(store.node(FLEET, "edge-1").await.unwrap().unwrap().seen, running(5), "a refusal is forgotten too");
}

pub(crate) async fn nodes_are_listed_by_name_without_those_removed(subject: Subject) {
    let store = &subject.store;
    for name in ["edge-b", "edgea", "edge-a", "gone"] {
        store.put_node(joining(name)).await.unwrap();
    }
    assert!(store.remove_node(FLEET, "gone", alice()).await.unwrap());
    assert!(!store.remove_node(FLEET, "gone", alice()).await.unwrap(), "it was removed already");
    let names: Vec<String> = store.nodes(FLEET).await.unwrap().into_iter().map(|node| node.name).collect();
    assert_eq!(names, ["edge-a", "edge-b", "edgea"]);
    assert!(store.node(FLEET, "gone").await.unwrap().unwrap().removed);
    assert!(store.nodes("another").await.unwrap().is_empty());
}

pub(crate) async fn what_a_removed_node_says_is_not_noted(subject: Subject) {
    let store = &subject.store;
    for name in ["here", "gone"] {
        store.put_node(joining(name)).await.unwrap();
    }
    store.remove_node(FLEET, "gone", alice()).await.unwrap();
    let note = |name: &str| Note { fleet: FLEET.to_owned(), name: name.to_owned(), seen: running(1) };
    store.note_nodes(&[note("here"), note("gone"), note("never")]).await.unwrap();
    store.note_nodes(&[]).await.unwrap();
    assert_eq!(store.node(FLEET, "here").await.unwrap().unwrap().seen, running(1));
    let gone = store.node(FLEET, "gone").await.unwrap().unwrap();
    assert_eq!((gone.last_seen, gone.removed), (None, true));
    assert!(store.node(FLEET, "never").await.unwrap().is_none());
}

pub(crate) async fn a_node_that_joins_again_starts_anew(subject: Subject) {
    let store = &subject.store;
    store.put_node(joining("edge-1")).await.unwrap();
    let first = store.node(FLEET, "edge-1").await.unwrap().unwrap();
    store.note_node(FLEET, "edge-1", running(7)).await.unwrap();
    store.remove_node(FLEET, "edge-1", alice()).await.unwrap();
    store.put_node(joining("edge-1")).await.unwrap();
    let node = store.node(FLEET, "edge-1").await.unwrap().unwrap();
    assert_eq!((node.removed, node.last_seen, node.seen), (false, None, Seen::default()));
    assert!(node.joined_at >= first.joined_at);
}

pub(crate) async fn a_certificate_is_renewed_for_nodes_that_are_there(subject: Subject) {
    let store = &subject.store;
    let later = in_an_hour() + Duration::from_secs(3_600);
    assert!(!store.renew_node(FLEET, "edge-1", later).await.unwrap());
    store.put_node(joining("edge-1")).await.unwrap();
    assert!(store.renew_node(FLEET, "edge-1", later).await.unwrap());
    assert_eq!(store.node(FLEET, "edge-1").await.unwrap().unwrap().certificate_expires_at, later);
    store.remove_node(FLEET, "edge-1", alice()).await.unwrap();
    assert!(!store.renew_node(FLEET, "edge-1", in_an_hour()).await.unwrap());
    assert!(store.node(FLEET, "edge-1").await.unwrap().unwrap().removed, "a renewal brings nobody back");
}

pub(crate) async fn a_number_that_is_too_large_is_kept_as_the_largest(subject: Subject) {
    subject.store.put_node(joining("edge-1")).await.unwrap();
    subject.store.note_node(FLEET, "edge-1", running(u64::MAX)).await.unwrap();
    let node = subject.store.node(FLEET, "edge-1").await.unwrap().unwrap();
    assert_eq!(node.seen.version, i64::MAX.unsigned_abs());
}
