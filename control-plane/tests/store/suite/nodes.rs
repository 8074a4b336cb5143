//! Nodes: joined, noted, removed.

use std::time::{Duration, SystemTime};

use shadowcat_control_plane::store::{Note, Noted, Seen};

use crate::subject::Subject;
use crate::support::{FLEET, alice, in_an_hour, joined, note, running};

pub(crate) async fn a_node_reads_back_as_it_was_noted(subject: Subject) {
    let store = &subject.store;
    assert!(store.node(FLEET, "edge-1").await.unwrap().is_none());
    joined(&**store, "edge-1").await;
    let node = store.node(FLEET, "edge-1").await.unwrap().unwrap();
    assert_eq!((node.fleet.as_str(), node.name.as_str(), node.removed), (FLEET, "edge-1", false));
    assert_eq!((node.certificate_expires_at, node.last_seen, &node.seen), (in_an_hour(), None, &Seen::default()));

    let seen = Seen { refusal: Some((4, "routes[0]: no\nroutes[1]: no".to_owned())), ..running(3) };
    store.note_nodes(&[note("edge-1", seen.clone())]).await.unwrap();
    let node = store.node(FLEET, "edge-1").await.unwrap().unwrap();
    assert_eq!(node.seen, seen);
    assert!(SystemTime::now().duration_since(node.last_seen.unwrap()).unwrap() < Duration::from_secs(60));
    store.note_nodes(&[note("edge-1", running(5))]).await.unwrap();
    assert_eq!(store.node(FLEET, "edge-1").await.unwrap().unwrap().seen, running(5), "a refusal is forgotten too");
}

pub(crate) async fn nodes_are_listed_by_name_without_those_removed(subject: Subject) {
    let store = &subject.store;
    for name in ["edge-b", "edgea", "edge-a", "gone"] {
        joined(&**store, name).await;
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
        joined(&**store, name).await;
    }
    store.remove_node(FLEET, "gone", alice()).await.unwrap();
    let notes = ["here", "gone", "never"].map(|name| note(name, running(1)));
    let noted = store.note_nodes(&notes).await.unwrap();
    assert!(matches!(noted[..], [Noted::Kept(_), Noted::Stale, Noted::Stale]), "{noted:?}");
    assert_eq!(store.note_nodes(&[]).await.unwrap(), []);
    assert_eq!(store.node(FLEET, "here").await.unwrap().unwrap().seen, running(1));
    let gone = store.node(FLEET, "gone").await.unwrap().unwrap();
    assert_eq!((gone.last_seen, gone.removed), (None, true));
    assert!(store.node(FLEET, "never").await.unwrap().is_none());
}

pub(crate) async fn a_node_that_joins_again_starts_anew(subject: Subject) {
    let store = &subject.store;
    joined(&**store, "edge-1").await;
    let first = store.node(FLEET, "edge-1").await.unwrap().unwrap();
    store.note_nodes(&[note("edge-1", running(7))]).await.unwrap();
    store.remove_node(FLEET, "edge-1", alice()).await.unwrap();
    joined(&**store, "edge-1").await;
    let node = store.node(FLEET, "edge-1").await.unwrap().unwrap();
    assert_eq!((node.removed, node.last_seen, node.seen), (false, None, Seen::default()));
    assert!(node.joined_at >= first.joined_at);
}

pub(crate) async fn a_node_is_of_the_stream_that_took_it_last(subject: Subject) {
    let store = &subject.store;
    joined(&**store, "edge-1").await;
    let noted = async |note: Note| store.note_nodes(&[note]).await.unwrap()[0];
    let number = |noted| if let Noted::Kept(stream) = noted { stream } else { panic!("{noted:?}") };
    let says = |stream, version| Note { stream, ..note("edge-1", running(version)) };
    let first = number(noted(says(0, 1)).await);
    assert_eq!(noted(says(first, 2)).await, Noted::Kept(first));

    // The same instance by another way: what its old stream has to say comes too late, and the new one may say more.
    let second = number(noted(says(0, 3)).await);
    assert!(second > first);
    assert_eq!(noted(Note { open: false, ..says(first, 2) }).await, Noted::Stale);
    assert_eq!(noted(says(second, 4)).await, Noted::Kept(second));

    // Another instance under the same name: the later one has it, and the earlier hears so.
    let of_another =
        |stream, version| Note { seen: Seen { instance: "other".to_owned(), ..running(version) }, ..says(stream, 0) };
    let third = number(noted(of_another(0, 5)).await);
    assert_eq!(noted(says(second, 6)).await, Noted::Taken);
    assert_eq!(noted(Note { open: false, ..says(0, 6) }).await, Noted::Taken, "a stream that has ended takes nothing");
    assert_eq!(noted(of_another(third, 7)).await, Noted::Kept(third));
    assert_eq!(store.node(FLEET, "edge-1").await.unwrap().unwrap().seen.version, 7);

    joined(&**store, "edge-1").await;
    assert_eq!(noted(of_another(third, 8)).await, Noted::Stale, "the node has joined again since");
}

pub(crate) async fn a_node_was_heard_of_when_it_spoke_and_not_when_that_was_noted(subject: Subject) {
    let store = &subject.store;
    joined(&**store, "edge-1").await;
    let an_hour_ago = in_an_hour() - Duration::from_secs(2 * 3_600);
    store.note_nodes(&[Note { at: an_hour_ago, ..note("edge-1", running(1)) }]).await.unwrap();
    assert_eq!(store.node(FLEET, "edge-1").await.unwrap().unwrap().last_seen, Some(an_hour_ago));
}

pub(crate) async fn a_certificate_is_renewed_for_nodes_that_are_there(subject: Subject) {
    let store = &subject.store;
    let later = in_an_hour() + Duration::from_secs(3_600);
    assert!(!store.renew_node(FLEET, "edge-1", later).await.unwrap());
    joined(&**store, "edge-1").await;
    assert!(store.renew_node(FLEET, "edge-1", later).await.unwrap());
    assert_eq!(store.node(FLEET, "edge-1").await.unwrap().unwrap().certificate_expires_at, later);
    store.remove_node(FLEET, "edge-1", alice()).await.unwrap();
    assert!(!store.renew_node(FLEET, "edge-1", in_an_hour()).await.unwrap());
    assert!(store.node(FLEET, "edge-1").await.unwrap().unwrap().removed, "a renewal brings nobody back");
}

pub(crate) async fn a_number_that_is_too_large_is_kept_as_the_largest(subject: Subject) {
    joined(&*subject.store, "edge-1").await;
    subject.store.note_nodes(&[note("edge-1", running(u64::MAX))]).await.unwrap();
    let node = subject.store.node(FLEET, "edge-1").await.unwrap().unwrap();
    assert_eq!(node.seen.version, i64::MAX.unsigned_abs());
}
