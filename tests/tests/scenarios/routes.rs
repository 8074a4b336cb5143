//! Routes that share a path and are told apart by host and header.

use serde_json::{Value, json};
use shadowcat_tests::{Client, Fleet, Upstream, fleet};

/// The header that tells routes apart.
const TEAM: &str = "x-team";

fn route(name: &str, host: Option<&str>, team: Option<&str>) -> Value {
    let mut matches = json!({ "path": "/mcp" });
    if let Some(host) = host {
        matches["host"] = json!(host);
    }
    if let Some(team) = team {
        matches["headers"] = json!([{ "name": TEAM, "value": team }]);
    }
    json!({ "name": name, "match": matches, "targets": [{ "upstream": name }], "sessions": { "mode": "OPTIONAL" } })
}

/// Routes with one upstream each; an upstream is told the name of its route.
async fn routes(origin: &Upstream, routes: Vec<Value>) -> Fleet {
    let upstream = |route: &Value| {
        let headers = json!([{ "name": "x-route", "value": route["name"] }]);
        json!({ "name": route["name"], "http": { "endpoints": [{ "url": origin.url() }], "headers": headers } })
    };
    let upstreams: Vec<Value> = routes.iter().map(upstream).collect();
    fleet().configuration(json!({ "routes": routes, "upstreams": upstreams })).start().await
}

/// The route that served a call of `client`.
async fn served_by(client: &Client, origin: &Upstream, token: &str) -> String {
    client.call("echo", json!({ "token": token })).await.unwrap_or_else(|failure| panic!("{token}: {failure}"));
    origin.seen(token)[0].headers["x-route"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_on_one_path_are_told_apart_by_host_and_another_host_falls_to_the_route_without_one() {
    let origin = Upstream::start().await;
    // What names no host stands first: the order of the file does not decide.
    let fleet = routes(&origin, vec![route("any", None, None), route("local", Some("localhost"), None)]).await;
    let client = Client::to(fleet.url(0));
    let hosts = [("localhost", "local"), ("LOCALHOST:99", "local"), ("127.0.0.1", "any"), ("127.0.0.2:80", "any")];
    for (host, wanted) in hosts {
        assert_eq!(served_by(&client.with("host", host), &origin, host).await, wanted, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_on_one_path_are_told_apart_by_header_and_a_host_counts_more_than_a_header() {
    let origin = Upstream::start().await;
    let all = vec![
        route("any", None, None),
        route("blue", None, Some("blue")),
        route("local", Some("localhost"), None),
        route("local-blue", Some("localhost"), Some("blue")),
    ];
    let fleet = routes(&origin, all).await;
    let client = Client::to(fleet.url(0));
    let cases = [
        ("127.0.0.1", "blue", "blue"),
        ("127.0.0.1", "Blue", "any"),
        ("127.0.0.1", "green", "any"),
        ("localhost", "green", "local"),
        ("localhost", "blue", "local-blue"),
    ];
    for (host, team, wanted) in cases {
        let token = format!("{host} {team}");
        let client = client.with("host", host).with(TEAM, team);
        assert_eq!(served_by(&client, &origin, &token).await, wanted, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_meets_no_route_on_its_path_is_refused() {
    let origin = Upstream::start().await;
    let fleet = routes(&origin, vec![route("local", Some("localhost"), None), route("blue", None, Some("blue"))]).await;
    let failure = Client::to(fleet.url(0)).call("echo", json!({ "token": "lost" })).await.unwrap_err();
    assert_eq!(failure.status_and_code(), (404, -32600), "{failure}");
    assert_eq!(origin.calls("lost"), 0);
}
