//! Sessions are bound to whoever opened them. Until callers authenticate all of them are anonymous, so the other principal is put
//! into the store by hand.

use std::sync::Arc;
use std::time::Duration;

use shadowcat_config::{Config, SessionMode, Transport};
use shadowcat_mcp::ProtocolVersion;
use shadowcat_proxy::{Gateway, Stop};
use shadowcat_session::{MemoryStore, NewSession, Principal, SessionStore, UpstreamSession};

/// Nobody listens there: a call that gets through fails with 502, and one that does not with 404.
const NOWHERE: &str = "http://127.0.0.1:9/mcp";

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_belongs_to_its_principal() {
    let config = Config::single(Transport::http(NOWHERE).unwrap(), SessionMode::Required);
    let (route, upstream) = (config.routes()[0].name.as_str().into(), config.upstreams()[0].name.as_str().into());
    let builder = Gateway::builder(config).bind("127.0.0.1:0".parse().unwrap());
    let store = Arc::new(MemoryStore::new(builder.store_options()));
    let of = |principal| NewSession {
        route: Arc::clone(&route),
        principal,
        upstream: UpstreamSession { name: Arc::clone(&upstream), id: None },
        protocol_version: ProtocolVersion::V2025_11_25,
        client_capabilities: "{}".into(),
        server_capabilities: "{}".into(),
        owner: None,
        idle_timeout: Duration::from_secs(60),
        max_per_route: 10,
    };
    let hers = store.create(of(Principal::named("alice"))).await.unwrap();
    let ours = store.create(of(Principal::anonymous())).await.unwrap();
    let gateway = builder.session_store(store.clone()).build().await.unwrap();
    let url = format!("http://{}/mcp", gateway.local_addr().unwrap());
    let asking = async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let ask = |method: reqwest::Method, session: String| {
            let request = client
                .request(method, &url)
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream")
                .header("mcp-session-id", session)
                .body(PING);
            async move { request.send().await.unwrap().status().as_u16() }
        };
        for method in [reqwest::Method::POST, reqwest::Method::GET, reqwest::Method::DELETE] {
            assert_eq!(ask(method.clone(), hers.id.to_string()).await, 404, "{method}");
        }
        assert!(store.get(&hers.id).await.unwrap().is_some(), "her session is still there");
        assert_eq!(ask(reqwest::Method::POST, ours.id.to_string()).await, 502);
        assert_eq!(ask(reqwest::Method::DELETE, ours.id.to_string()).await, 204);
        Stop::PROMPT
    };
    gateway.serve(asking).await;
}
