//! Sessions, one by one.

use std::sync::Arc;
use std::time::Duration;

use shadowcat_session::{CountOf, NewSession, Owner, Principal, SessionId, SessionStore, StoreError, UpstreamSession};
use tokio::time::{Instant, sleep};

use crate::support::{by, eventually, idle_after, on};

pub(crate) async fn a_session_is_found_as_it_was_made(store: &dyn SessionStore) {
    let owner = Owner { instance: "node-b".into() };
    let new = NewSession { owner: Some(owner.clone()), ..by("alice") };
    let made = store.create(new.clone()).await.unwrap();
    for found in [store.peek(&made.id).unwrap(), store.get(&made.id).await.unwrap().unwrap()] {
        assert_eq!((found.id, found.revision, found.created_at), (made.id, 1, made.created_at));
        assert_eq!((&found.route, &found.principal), (&new.route, &new.principal));
        assert_eq!((&found.upstream, found.protocol_version), (&new.upstream, new.protocol_version));
        assert_eq!(found.client_capabilities, new.client_capabilities);
        assert_eq!(found.server_capabilities, new.server_capabilities);
        assert_eq!((found.owner.as_ref(), found.idle_timeout), (Some(&owner), new.idle_timeout));
    }
}

pub(crate) async fn an_unknown_session_is_not_found(store: &dyn SessionStore) {
    let forged = SessionId::random();
    assert!(store.peek(&forged).is_none());
    assert!(store.get(&forged).await.unwrap().is_none());
    assert!(!store.delete(&forged).await.unwrap());
}

pub(crate) async fn a_deleted_session_is_refused_at_once(store: &dyn SessionStore) {
    let session = store.create(on("workbench")).await.unwrap();
    assert!(store.delete(&session.id).await.unwrap());
    assert!(store.peek(&session.id).is_none());
    assert!(store.get(&session.id).await.unwrap().is_none());
    assert!(!store.delete(&session.id).await.unwrap());
}

pub(crate) async fn an_update_replaces_what_may_change(store: &dyn SessionStore) {
    let session = store.create(by("alice")).await.unwrap();
    let mut changed = (*session).clone();
    changed.upstream = UpstreamSession { name: "files".into(), id: None };
    changed.owner = Some(Owner { instance: "node-b".into() });
    changed.server_capabilities = "{}".into();
    changed.principal = Principal::named("mallory");
    changed.route = "elsewhere".into();

    let updated = store.update(changed).await.unwrap();
    let found = store.get(&session.id).await.unwrap().unwrap();
    for session in [updated, found] {
        assert_eq!(session.revision, 2);
        assert_eq!(session.upstream.id, None);
        assert_eq!(session.owner, Some(Owner { instance: "node-b".into() }));
        assert_eq!(&*session.server_capabilities, "{}");
        assert_eq!((&*session.route, &session.principal), ("workbench", &Principal::named("alice")));
    }
    assert_eq!(store.count(CountOf::Route("elsewhere")).await.unwrap(), 0);
}

pub(crate) async fn an_update_of_an_old_revision_is_a_conflict(store: &dyn SessionStore) {
    let session = store.create(on("workbench")).await.unwrap();
    store.update((*session).clone()).await.unwrap();
    assert_eq!(store.update((*session).clone()).await.unwrap_err(), StoreError::Conflict);

    let current = store.get(&session.id).await.unwrap().unwrap();
    store.delete(&session.id).await.unwrap();
    assert_eq!(store.update((*current).clone()).await.unwrap_err(), StoreError::Conflict);
}

pub(crate) async fn of_concurrent_updates_one_succeeds(store: &dyn SessionStore) {
    let session = store.create(on("workbench")).await.unwrap();
    let update = || store.update((*session).clone());
    let results = tokio::join!(update(), update(), update());
    let successes = [results.0.is_ok(), results.1.is_ok(), results.2.is_ok()];
    assert_eq!(successes.into_iter().filter(|success| *success).count(), 1);
    assert_eq!(store.get(&session.id).await.unwrap().unwrap().revision, 2);
}

pub(crate) async fn batches_keep_the_order_asked(store: &dyn SessionStore) {
    let first = store.create(on("workbench")).await.unwrap().id;
    let second = store.create(on("workbench")).await.unwrap().id;
    let unknown = SessionId::random();
    let found = store.get_many(&[second, unknown, first]).await.unwrap();
    let ids: Vec<_> = found.iter().map(|found| found.as_ref().map(|session| session.id)).collect();
    assert_eq!(ids, [Some(second), None, Some(first)]);

    assert_eq!(store.delete_many(&[first, unknown, second]).await.unwrap(), 2);
    assert!(store.get_many(&[first, second]).await.unwrap().iter().all(Option::is_none));
    assert!(store.get_many(&[]).await.unwrap().is_empty());
}

pub(crate) async fn an_unused_session_ends(store: &dyn SessionStore) {
    let session = store.create(idle_after(Duration::from_millis(100))).await.unwrap();
    eventually("the session is counted no more", Duration::from_secs(10), || async {
        store.count(CountOf::All).await.unwrap() == 0
    })
    .await;
    assert!(store.peek(&session.id).is_none());
    assert!(store.get(&session.id).await.unwrap().is_none());
    assert!(session.is_expired(session.last_used() + 100));
}

pub(crate) async fn a_session_in_use_does_not_end(store: &dyn SessionStore) {
    let session = store.create(idle_after(Duration::from_secs(2))).await.unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        let hot = store.peek(&session.id);
        let found: Option<Arc<_>> = if hot.is_some() { hot } else { store.get(&session.id).await.unwrap() };
        assert!(found.is_some());
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.count(CountOf::All).await.unwrap(), 1);
}

pub(crate) async fn an_owner_is_alive_while_its_node_is(store: &dyn SessionStore) {
    let owner = |instance: &str| Owner { instance: instance.into() };
    assert!(store.owner_alive(&owner("node-a")).await.unwrap());
    assert!(!store.owner_alive(&owner("node-that-never-was")).await.unwrap());
}
