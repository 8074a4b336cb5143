//! Tokens and the authority.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use shadowcat_control_plane::store::{AdminToken, AuthorityRow, NewJoinToken, Role, StoreError};

use crate::subject::Subject;
use crate::support::{FLEET, alice, hash_of, in_an_hour, joining};

fn join_token(secret: &str, uses: u32) -> NewJoinToken {
    NewJoinToken { hash: hash_of(secret), fleet: FLEET.to_owned(), uses, expires_at: in_an_hour() }
}

async fn refusal(subject: &Subject, secret: &str) -> &'static str {
    match subject.store.join(joining(secret), alice()).await.unwrap_err() {
        StoreError::Token(reason) => reason,
        other => panic!("{other}"),
    }
}

pub(crate) async fn a_join_token_is_good_for_as_many_uses_as_it_says(subject: Subject) {
    subject.store.create_join_token(join_token("secret", 2), alice()).await.unwrap();
    assert_eq!(subject.store.fleets().await.unwrap(), [FLEET]);
    for _ in 0..2 {
        assert_eq!(subject.store.join(joining("secret"), alice()).await.unwrap(), FLEET);
    }
    assert!(refusal(&subject, "secret").await.contains("has been used as often as it may be"));
    assert!(refusal(&subject, "guessed").await.contains("is unknown here"));
    assert!(subject.store.node(FLEET, "guessed").await.unwrap().is_none());
    assert_eq!(subject.store.health(), Ok(()));
}

pub(crate) async fn of_two_uses_at_once_of_a_token_for_one_one_succeeds(subject: Subject) {
    for round in 0..10 {
        let secret = format!("secret {round}");
        subject.store.create_join_token(join_token(&secret, 1), alice()).await.unwrap();
        let join = || subject.store.join(joining(&secret), alice());
        let uses = join_all([join(), join()]).await;
        assert_eq!(uses.iter().filter(|used| used.is_ok()).count(), 1);
    }
}

pub(crate) async fn a_join_token_that_has_expired_is_told_from_one_that_never_was(subject: Subject) {
    let expired = NewJoinToken { expires_at: SystemTime::now() - Duration::from_millis(1), ..join_token("late", 1) };
    subject.store.create_join_token(expired, alice()).await.unwrap();
    let ancient = NewJoinToken { expires_at: SystemTime::UNIX_EPOCH, ..join_token("ancient", 1) };
    subject.store.create_join_token(ancient, alice()).await.unwrap();
    assert!(refusal(&subject, "late").await.contains("has expired"));
    subject.store.create_join_token(join_token("new", 1), alice()).await.unwrap();
    assert!(refusal(&subject, "ancient").await.contains("is unknown here"), "it is not kept for ever");
}

pub(crate) async fn an_admin_token_is_found_by_its_hash_until_it_expires(subject: Subject) {
    let store = &subject.store;
    assert!(!store.has_admin_token().await.unwrap());
    let lasting = AdminToken { hash: hash_of("a"), name: "admin".to_owned(), role: Role::Admin, expires_at: None };
    let viewing =
        AdminToken { hash: hash_of("b"), name: "eve".to_owned(), role: Role::Viewer, expires_at: Some(in_an_hour()) };
    let expired = AdminToken { hash: hash_of("c"), expires_at: Some(SystemTime::now()), ..viewing.clone() };
    for token in [&lasting, &viewing, &expired] {
        store.create_admin_token(token.clone(), alice()).await.unwrap();
    }
    assert!(store.has_admin_token().await.unwrap());
    assert_eq!(store.admin_token(&hash_of("a")).await.unwrap(), Some(lasting));
    assert_eq!(store.admin_token(&hash_of("b")).await.unwrap(), Some(viewing));
    assert_eq!(store.admin_token(&hash_of("c")).await.unwrap(), None);
    assert_eq!(store.admin_token(&hash_of("d")).await.unwrap(), None);
}

pub(crate) async fn of_two_authorities_offered_at_once_both_get_the_same(subject: Subject) {
    let other = subject.open_again().await.unwrap();
    let offered = |name: &str| AuthorityRow { certificate: name.into(), key: format!("key of {name}").into() };
    let (one, two) = tokio::join!(subject.store.authority(offered("one")), other.authority(offered("two")));
    let agreed = one.unwrap();
    assert!(agreed == two.unwrap());
    assert!(agreed == offered("one") || agreed == offered("two"));
    assert!(subject.store.authority(offered("three")).await.unwrap() == agreed);
}
