//! What the tests say often.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use shadowcat_config::{Digest, digest};
use shadowcat_control_plane::store::{Actor, NewJoinToken, NewNode, NewVersion, Note, Seen, Store};
use tokio::time::{Instant, sleep};

/// Long enough for anything that is not measured.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) const FLEET: &str = "default";

/// A version of [`FLEET`] whose content is this text.
pub(crate) fn version_of(content: &str) -> NewVersion {
    version_in(FLEET, content)
}

pub(crate) fn version_in(fleet: &str, content: &str) -> NewVersion {
    let content = Bytes::from(content.to_owned());
    NewVersion {
        fleet: fleet.to_owned(),
        digest: digest(&content),
        content,
        message: "because".to_owned(),
        if_version: None,
        routes: 2,
        upstreams: 3,
    }
}

pub(crate) fn alice() -> Actor {
    Actor {
        fleet: FLEET.to_owned(),
        name: "alice".to_owned(),
        address: "127.0.0.1:4711".to_owned(),
        verb: "configurations.apply".to_owned(),
        resource: "something".to_owned(),
    }
}

/// A node of this name, as it joins with the token whose secret is its name.
pub(crate) fn joining(name: &str) -> NewNode {
    NewNode { token: hash_of(name), name: name.to_owned(), certificate_expires_at: in_an_hour() }
}

/// A node that has joined [`FLEET`], or joined it again, with a token of its own.
pub(crate) async fn joined(store: &dyn Store, name: &str) {
    let secret = format!("{name} {}", fastrand::u64(..));
    let token = NewJoinToken { hash: hash_of(&secret), fleet: FLEET.to_owned(), uses: 1, expires_at: in_an_hour() };
    let by = |verb: &str| Actor { verb: verb.to_owned(), resource: format!("node {name}"), ..alice() };
    store.create_join_token(token, by("nodes.token")).await.unwrap();
    let node = NewNode { token: hash_of(&secret), ..joining(name) };
    assert_eq!(store.join(node, Actor { fleet: String::new(), ..by("nodes.join") }).await.unwrap(), FLEET);
}

/// What a node says on a stream that was not noted before.
pub(crate) fn note(name: &str, seen: Seen) -> Note {
    Note { fleet: FLEET.to_owned(), name: name.to_owned(), stream: 0, open: true, at: SystemTime::now(), seen }
}

/// What a node says that runs this version.
pub(crate) fn running(version: u64) -> Seen {
    Seen {
        instance: "5f".repeat(16),
        build: "0.1.0".to_owned(),
        labels: vec![("region".to_owned(), "eu \"west\"".to_owned())],
        version,
        refusal: None,
    }
}

/// From the start of the tests, in whole seconds, as it is kept: the same whenever it is asked for.
pub(crate) fn in_an_hour() -> SystemTime {
    static THEN: LazyLock<SystemTime> = LazyLock::new(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs() + 3_600)
    });
    *THEN
}

pub(crate) fn hash_of(text: &str) -> Digest {
    digest(text.as_bytes())
}

/// Asks until the answer is yes; fails after `within`.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, within: Duration, mut holds: impl FnMut() -> F) {
    let until = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < until, "{what}: not within {within:?}");
        sleep(Duration::from_millis(5)).await;
    }
}
