//! What a browser is told on behalf of its page (Fetch Standard, "CORS protocol").

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::json;
use shadowcat_tests::{Client, Fleet, Upstream, fleet};

const PAGE: &str = "https://inspector.example.com";
const STRANGER: &str = "https://evil.example";

async fn shared(upstream: &Upstream) -> Fleet {
    fleet().upstream(upstream).route_settings(json!({ "cors": { "allow_origins": [PAGE] } })).start().await
}

/// The question a browser puts before a page's first call.
fn asking(fleet: &Fleet, origin: &str) -> Client {
    let client = Client::to(fleet.url(0)).without("content-type").with("accept", "*/*").with("origin", origin);
    client
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "content-type,mcp-session-id,mcp-param-region")
}

/// The members of a header that is a list, in lower case.
fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter().flat_map(|value| value.to_str().unwrap().split(','));
    values.map(|member| member.trim().to_ascii_lowercase()).collect()
}

fn assert_lists(headers: &HeaderMap, name: &str, wanted: &[&str]) {
    let found = list(headers, name);
    for member in wanted {
        assert!(found.iter().any(|found| found == member), "{name} lacks {member}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preflight_of_an_allowed_page_is_told_what_it_may_send() {
    let upstream = Upstream::start().await;
    let fleet = shared(&upstream).await;
    let reply = asking(&fleet, PAGE).exchange(Method::OPTIONS, Bytes::new()).await.unwrap();
    assert_eq!(reply.status(), 204);
    let headers = reply.headers();
    assert_eq!(headers["access-control-allow-origin"], PAGE);
    assert_lists(headers, "access-control-allow-methods", &["get", "post", "delete"]);
    let asked = ["content-type", "mcp-session-id", "mcp-param-region"];
    assert_lists(headers, "access-control-allow-headers", &asked);
    // The answer differs by page, so a cache must not give it to another one.
    assert_lists(headers, "vary", &["origin"]);
    assert_eq!(
        headers.get("access-control-allow-credentials"),
        None,
        "a page's cookies are no business of a gateway's"
    );
    assert_eq!(upstream.messages(""), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preflight_of_a_foreign_page_is_refused() {
    let upstream = Upstream::start().await;
    let fleet = shared(&upstream).await;
    let nearly = format!("{PAGE}.evil.example");
    for origin in [STRANGER, "null", "http://inspector.example.com", &nearly] {
        let reply = asking(&fleet, origin).exchange(Method::OPTIONS, Bytes::new()).await.unwrap();
        assert_eq!(reply.status(), 403, "{origin}");
        for name in ["access-control-allow-origin", "access-control-allow-methods"] {
            assert_eq!(reply.headers().get(name), None, "{origin}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowed_page_may_read_the_session_and_the_refusals_of_its_calls() {
    let upstream = Upstream::start().await;
    let fleet = shared(&upstream).await;
    let page = Client::to(fleet.url(0)).with("origin", PAGE).open_session().await.unwrap();
    let answered = page.start("echo", json!({ "token": "page" })).await.unwrap();
    let refused = page.with("mcp-session-id", "AAAAAAAAAAAAAAAAAAAAAA").start("echo", json!({})).await.unwrap();
    assert_eq!((answered.status().as_u16(), refused.status().as_u16()), (200, 404));
    for reply in [answered, refused] {
        let headers = reply.headers();
        assert_eq!(headers["access-control-allow-origin"], PAGE);
        let readable = ["mcp-session-id", "mcp-protocol-version", "retry-after", "www-authenticate"];
        assert_lists(headers, "access-control-expose-headers", &readable);
        assert_lists(headers, "vary", &["origin"]);
    }
    let failure = page.with("origin", STRANGER).call("echo", json!({ "token": "stranger" })).await.unwrap_err();
    assert_eq!(failure.status_and_code(), (403, -32600), "{failure}");
    assert_eq!((upstream.calls("page"), upstream.calls("stranger")), (1, 0));
}
