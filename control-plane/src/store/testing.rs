//! What tests of other modules want to find in a store.

use std::time::{Duration, SystemTime};

use shadowcat_config::digest;

use super::{Actor, NewJoinToken, NewNode, Store};

/// A node that has joined, with a token of its own.
pub(crate) async fn joined(store: &dyn Store, fleet: &str, name: &str) {
    let by = |verb: &str| Actor {
        fleet: fleet.to_owned(),
        name: "test".to_owned(),
        address: String::new(),
        verb: verb.to_owned(),
        resource: String::new(),
    };
    let (hash, later) = (digest(name.as_bytes()), SystemTime::now() + Duration::from_secs(60));
    let token = NewJoinToken { hash, fleet: fleet.to_owned(), uses: 1, expires_at: later };
    store.create_join_token(token, by("nodes.token")).await.unwrap();
    let node = NewNode { token: hash, name: name.to_owned(), certificate_expires_at: later };
    store.join(node, by("nodes.join")).await.unwrap();
}
