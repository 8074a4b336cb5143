//! A call, for tests.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use http::Method;
use shadowcat_config::parse_local_in;
use shadowcat_mcp::{Envelope, Limits};

use super::call::{Asked, CallContext, Headers, RecordedRoute};

/// The call of a session, recorded whole.
pub(super) fn call(request: &str) -> Arc<CallContext> {
    let text = "routes: [{ name: r, match: { path: /mcp }, targets: [{ upstream: u }], recording: all }]\n\
                upstreams: [{ name: u, stdio: { command: [server] } }]\nrecordings: [{ name: all }]";
    let config = parse_local_in(text, "", &|_| None).expect("valid").config;
    let request = Envelope::read(request.to_owned().into(), Limits::default()).unwrap();
    Arc::new(CallContext {
        route: Arc::new(RecordedRoute {
            recording: config.routes()[0].recording.clone().unwrap(),
            name: "r".into(),
            path: "/mcp".into(),
            upstream: "u".into(),
            endpoint: "e".into(),
        }),
        connection: 1,
        exchange: 1,
        session: Some(*b"kX3vQ9aZ"),
        trace: None,
        era: None,
        version: 0,
        method: Method::POST,
        headers: Headers::default(),
        began: Instant::now(),
        request: Asked::Message(request),
        tape: OnceLock::new(),
        told: Mutex::default(),
    })
}
