//! What a call pays to find its session among ten thousand.

use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box};
use shadowcat_mcp::ProtocolVersion;
use shadowcat_session::{
    MemoryStore, NewSession, Principal, SessionId, SessionStore as _, StoreOptions, UpstreamSession,
};

/// As many as a route holds unless it is told otherwise.
const SESSIONS: usize = 10_000;

/// Steps through the sessions so that neighbours in time are none in memory; prime to their number.
const STRIDE: usize = 7_919;

fn main() {
    divan::main();
}

fn new_session() -> NewSession {
    NewSession {
        route: Arc::from("reference"),
        principal: Principal::anonymous(),
        upstream: UpstreamSession { name: Arc::from("reference"), id: Some(Arc::from("reference-1")) },
        protocol_version: ProtocolVersion::V2025_11_25,
        client_capabilities: Arc::from("{}"),
        server_capabilities: Arc::from("{}"),
        owner: None,
        idle_timeout: Duration::from_hours(1),
        max_per_route: u32::MAX,
    }
}

/// A store and the ids it knows, as they stand in a request's header.
fn filled() -> (MemoryStore, Vec<String>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime without threads");
    runtime.block_on(async {
        let store = MemoryStore::new(StoreOptions::new("bench"));
        let mut ids = Vec::with_capacity(SESSIONS);
        for _ in 0..SESSIONS {
            let session = store.create(new_session()).await.expect("a store without caps refuses nothing");
            ids.push(session.id.to_string());
        }
        (store, ids)
    })
}

/// Reading the id is part of the look-up: a call comes with text. Two threads, as two calls at once would.
#[divan::bench(threads = [1, 2], sample_size = 1_000)]
fn peek(bencher: Bencher<'_, '_>) {
    let (store, ids) = filled();
    let next = std::sync::atomic::AtomicUsize::new(0);
    bencher.with_inputs(|| next.fetch_add(STRIDE, std::sync::atomic::Ordering::Relaxed) % SESSIONS).bench_refs(
        |index| {
            let id = SessionId::parse(black_box(&ids[*index])).expect("the store's own ids");
            store.peek(&id).expect("every session is known")
        },
    );
}
