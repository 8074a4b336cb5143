//! What may not be in a log: secrets of servers and clients, and sessions. Alone in its process, whose one subscriber it is.

#![allow(clippy::unwrap_used, reason = "in a test an error is a failure, and its text says which")]

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shadowcat_config::parse_local_in;
use shadowcat_proxy::{Gateway, Stop};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// A server that says in stray lines and on stderr what it should not, answers everything, and dies when it is told to.
const INDISCREET: &str = r#"
    echo 'Welcome, Bearer abcdefghijklmnopqrstuvwxyz012345'
    echo 'password=hunter2-and-more' >&2
    echo '-----BEGIN PRIVATE KEY-----' >&2
    echo 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCMIIEvQIBADANBgkqhkiG9w0BAQEFAASC' >&2
    echo '-----END PRIVATE KEY-----' >&2
    echo 'ready' >&2
    while read -r line; do
        echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}'
        case $line in *die*) echo 'token: last-words-0123456789' >&2; exit 3;; esac
    done
"#;

/// The name of a tool, a method and a version, of a client that mixes up what goes where.
const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ456789";

/// What the log shows in time, or never.
const SOON: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    async fn until(&self, said: &str) {
        let waiting = async {
            while !self.text().contains(said) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(tokio::time::timeout(SOON, waiting).await.is_ok(), "{said} is due:\n{}", self.text());
    }
}

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logged {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_at_any_level_holds_a_secret_of_a_child_or_a_client() {
    let logged = Logged::default();
    let lines = tracing_subscriber::fmt().with_writer(logged.clone()).with_ansi(false);
    lines.with_env_filter(EnvFilter::new("shadowcat_proxy=trace,shadowcat_upstream=trace")).init();
    let text = format!(
        "routes: [{{ name: r, match: {{ path: /mcp }}, targets: [{{ upstream: u }}] }}]\n\
         upstreams: [{{ name: u, stdio: {{ command: {} }} }}]",
        serde_json::json!(["sh", "-c", INDISCREET])
    );
    let config = parse_local_in(&text, "", &|_| None).unwrap().config;
    let gateway = Gateway::builder(config).bind("127.0.0.1:0".parse().unwrap()).build().await.unwrap();
    let url = format!("http://{}/mcp", gateway.local_addr().unwrap());
    let testing = async {
        let session = talk(&url).await;
        logged.until("the end of its stderr").await;
        for said in ["stderr: ready", "skipped a line on stdout", "tool=⟦r:", "request=Bearer ⟦r:", "call refused"]
        {
            logged.until(said).await;
        }
        let log = logged.text();
        for secret in ["abcdefghijkl", "hunter2", "MIIEvQ", "last-words", "zyxwvu", TOKEN, &session] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
        Stop::PROMPT
    };
    gateway.serve(testing).await;
}

/// Opens a session, calls in it, is refused, and makes the server die; returns the session's id.
async fn talk(url: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |message: String| {
        let request = client.post(url).header("content-type", "application/json");
        request.header("accept", "application/json, text/event-stream").body(message)
    };
    let message =
        |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let hello = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#;
    let opened = post(message("initialize", hello)).send().await.unwrap();
    let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let call = post(message("tools/call", &format!(r#"{{"name":"{TOKEN}"}}"#))).header("mcp-session-id", &session);
    let named = call.header("x-request-id", "Bearer zyxwvutsrqponmlkjihgfedcba0123456789");
    assert_eq!(named.send().await.unwrap().status(), 200);
    let refused = post(message(TOKEN, "{}")).header("mcp-protocol-version", TOKEN).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    post(message("die", "{}")).header("mcp-session-id", &session).send().await.unwrap();
    session
}
