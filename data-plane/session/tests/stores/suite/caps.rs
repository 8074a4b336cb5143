//! Sessions, many at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use shadowcat_session::limits::MAX_PAGE;
use shadowcat_session::{CountOf, NewSession, PageRequest, Principal, SessionId, SessionStore, StoreError};

use crate::MAX_PER_PRINCIPAL;
use crate::support::{by, eventually, idle_after, on};

pub(crate) async fn a_route_holds_no_more_than_its_cap(store: &dyn SessionStore) {
    let capped = NewSession { max_per_route: 2, ..on("workbench") };
    let first = store.create(capped.clone()).await.unwrap();
    store.create(capped.clone()).await.unwrap();
    let refusal = store.create(capped.clone()).await.unwrap_err();
    assert_eq!(refusal, StoreError::RouteFull { route: "workbench".into(), max: 2 });

    store.create(NewSession { max_per_route: 2, ..on("elsewhere") }).await.unwrap();
    store.delete(&first.id).await.unwrap();
    store.create(capped).await.unwrap();
}

pub(crate) async fn a_principal_holds_no_more_than_its_cap(store: &dyn SessionStore) {
    for _ in 0..MAX_PER_PRINCIPAL {
        store.create(by("alice")).await.unwrap();
    }
    let refusal = store.create(NewSession { route: "elsewhere".into(), ..by("alice") }).await.unwrap_err();
    assert_eq!(refusal, StoreError::PrincipalFull { max: MAX_PER_PRINCIPAL });
    store.create(by("bob")).await.unwrap();
    for _ in 0..=MAX_PER_PRINCIPAL {
        store.create(by("")).await.expect("nobody in particular is not capped");
    }
}

pub(crate) async fn concurrent_creates_respect_the_cap(store: &dyn SessionStore) {
    let create = || store.create(NewSession { max_per_route: 5, ..on("workbench") });
    let pairs = (0..10).map(|_| async { tokio::join!(create(), create()) });
    let mut created = 0;
    for pair in pairs {
        let (one, other) = pair.await;
        created += u32::from(one.is_ok()) + u32::from(other.is_ok());
    }
    assert_eq!(created, 5);
    assert_eq!(store.count(CountOf::Route("workbench")).await.unwrap(), 5);
}

pub(crate) async fn an_ended_session_makes_room(store: &dyn SessionStore) {
    let capped = NewSession { max_per_route: 1, ..idle_after(Duration::from_millis(100)) };
    store.create(capped.clone()).await.unwrap();
    eventually("there is room again", Duration::from_secs(10), || async { store.create(capped.clone()).await.is_ok() })
        .await;
}

pub(crate) async fn counts_tell_routes_and_principals_apart(store: &dyn SessionStore) {
    for new in [by("alice"), by("bob"), on("elsewhere"), by("alice")] {
        store.create(new).await.unwrap();
    }
    let (alice, carol) = (Principal::named("alice"), Principal::named("carol"));
    for (of, expected) in [
        (CountOf::All, 4),
        (CountOf::Route("workbench"), 3),
        (CountOf::Route("elsewhere"), 1),
        (CountOf::Route("nowhere"), 0),
        (CountOf::Principal(&alice), 2),
        (CountOf::Principal(&Principal::anonymous()), 1),
        (CountOf::Principal(&carol), 0),
    ] {
        assert_eq!(store.count(of).await.unwrap(), expected, "{of:?}");
    }
}

pub(crate) async fn pages_hold_every_session_once(store: &dyn SessionStore) {
    let (mut all, mut elsewhere) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..25 {
        let route = if number % 5 == 0 { "elsewhere" } else { "workbench" };
        let id = store.create(on(route)).await.unwrap().id;
        all.insert(id);
        if route == "elsewhere" {
            elsewhere.insert(id);
        }
    }
    for limit in [1, 7, 25, 0] {
        assert_eq!(collect(store, None, limit).await, all, "pages of {limit}");
        assert_eq!(collect(store, Some("elsewhere"), limit).await, elsewhere, "pages of {limit}");
    }
    assert!(collect(store, Some("nowhere"), 7).await.is_empty());
}

/// Every session on every page; fails if one comes twice.
async fn collect(store: &dyn SessionStore, route: Option<&str>, limit: usize) -> BTreeSet<SessionId> {
    let mut ids = BTreeSet::new();
    let mut request = PageRequest { route: route.map(Into::into), cursor: None, limit };
    loop {
        let page = store.list(request.clone()).await.unwrap();
        for session in &page.sessions {
            assert!(ids.insert(session.id), "{:?} came twice", session.id);
        }
        match page.next {
            Some(next) => request.cursor = Some(next),
            None => return ids,
        }
    }
}

pub(crate) async fn a_page_is_never_longer_than_asked(store: &dyn SessionStore) {
    for _ in 0..5 {
        store.create(on("workbench")).await.unwrap();
    }
    let page = store.list(PageRequest { limit: 2, ..PageRequest::default() }).await.unwrap();
    assert_eq!((page.sessions.len(), page.next.is_some()), (2, true));
    let foreign = PageRequest { cursor: Some("no cursor of ours".into()), ..PageRequest::default() };
    assert_eq!(store.list(foreign).await.unwrap().sessions.len(), 5);
    assert_eq!(PageRequest { limit: MAX_PAGE + 1, ..PageRequest::default() }.size(), MAX_PAGE);
}
