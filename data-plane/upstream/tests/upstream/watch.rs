//! What an observer is told of children, and what of their words logs and errors may hold.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use shadowcat_upstream::{
    Call, ChildEvent, ChildObserver, CleanLines, Passed, StdioSettings, StdioUpstream, Upstream, Watch,
};

use crate::support::{message, post, python, request, settings, shared, shell, until, upstream};

/// Keeps what it is told, as text: the child's number and the event.
#[derive(Default)]
struct Kept(Mutex<Vec<(u64, String)>>);

impl ChildObserver for Kept {
    fn saw(&self, child: u64, event: ChildEvent<'_>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let passed = |passed: Passed<'_>| format!("{:?} {}", passed.exchange, text(passed.message));
        let told = match event {
            ChildEvent::Spawned { command, .. } => format!("spawned {}", command.join(" ")),
            ChildEvent::Session { exchange } => format!("session {exchange}"),
            ChildEvent::Stderr(line) => format!("stderr {}", text(line)),
            ChildEvent::Stray(line) => format!("stray {}", text(line)),
            ChildEvent::Sent(message) => format!("sent {}", passed(message)),
            ChildEvent::Received(message) => format!("received {}", passed(message)),
            ChildEvent::Signalled(signal) => format!("signalled {signal}"),
            ChildEvent::Exited { status, why } => format!("exited {:?} {why:?}", status.and_then(|it| it.code())),
        };
        self.lock().push((child, told));
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Vec<(u64, String)>> {
        self.0.lock().expect("no test panics while it holds this")
    }

    /// What was told so far of the only child.
    fn all(&self) -> Vec<String> {
        let kept = self.lock();
        assert!(kept.iter().all(|(child, _)| *child == kept[0].0), "{kept:?}");
        kept.iter().map(|(_, told)| told.clone()).collect()
    }

    async fn until(&self, begin: &str) {
        until(begin, || self.lock().iter().any(|(_, told)| told.starts_with(begin))).await;
    }
}

fn watched(settings: StdioSettings) -> (Arc<Kept>, StdioUpstream) {
    let kept = Arc::new(Kept::default());
    let observer: Arc<dyn ChildObserver> = Arc::<Kept>::clone(&kept);
    let watch = Watch { observer: Some(observer), ..Watch::default() };
    (kept, upstream(StdioSettings { watch, ..settings }))
}

fn numbered(exchange: u64, message: &Value) -> Call {
    Call { exchange: Some(exchange), ..post(message, None) }
}

/// An exchange number of a test's own.
const EXCHANGE: u64 = 77;

#[tokio::test]
async fn an_observer_sees_a_child_from_its_start_to_its_end() {
    let script = "echo Welcome; echo one >&2; read line; echo two >&2; exit 3";
    let (kept, upstream) = watched(settings(shell(script)));
    upstream.call(post(&request(1, "initialize", &json!({})), None)).await.expect_err("a death");
    kept.until("exited").await;
    let mut all = kept.all();
    assert_eq!(
        (all.remove(0), all.pop().unwrap()),
        (format!("spawned sh -c {script}"), "exited Some(3) Itself".into())
    );
    // What comes through two pipes has no order among itself.
    all.sort();
    assert_eq!(all, ["stderr one", "stderr two", "stray Welcome"]);
}

#[tokio::test]
async fn an_observer_learns_which_exchange_gave_a_child_its_session() {
    let (kept, upstream) = watched(StdioSettings { max_children: 1, ..settings(python()) });
    upstream.call(numbered(EXCHANGE, &request(0, "initialize", &json!({})))).await.expect("an answer");
    assert_eq!(kept.all()[1..], ["session 77"]);
    upstream.shutdown().await;
    assert_eq!(kept.all()[2..], ["exited Some(0) Stopped"]);
}

#[tokio::test]
async fn an_observer_of_a_shared_child_sees_messages_as_the_child_does() {
    let (kept, upstream) = watched(shared(python()));
    let call = numbered(EXCHANGE, &request(4711, "echo", &json!({})));
    assert_eq!(message(upstream.call(call).await.expect("an answer")).await["id"], 4711);
    let all = kept.all();
    let passed = |told: &str, begin: &str| -> Value {
        serde_json::from_str(told.strip_prefix(begin).unwrap_or_else(|| panic!("{told}"))).unwrap()
    };
    assert_eq!(passed(&all[1], "sent Some(77) ")["id"], 1);
    assert_eq!(passed(&all[2], "received Some(77) ")["id"], 1);
    assert_eq!(all.len(), 3, "{all:?}");
}

#[tokio::test]
async fn an_observer_is_told_of_the_signals_that_end_a_child() {
    let (kept, upstream) = watched(settings(shell("exec sleep 1000")));
    let call = upstream.call(post(&request(1, "initialize", &json!({})), None));
    let stopping = async {
        kept.until("spawned").await;
        upstream.shutdown().await;
    };
    let (_, ()) = tokio::join!(call, stopping);
    assert_eq!(kept.all()[1..], ["signalled TERM", "exited None Stopped"]);
}

/// Blots out what stands between `<` and `>`, over lines.
fn angles() -> CleanLines {
    let mut inside = false;
    Box::new(move |line| {
        let blot = |c| {
            inside = (inside || c == '<') && c != '>';
            if inside { '*' } else { c }
        };
        line.chars().map(blot).collect()
    })
}

#[tokio::test]
async fn what_a_child_says_is_clean_in_errors_and_whole_for_its_observer() {
    let script = "read line; echo 'begin <secret' >&2; echo 'secret> end' >&2; exit 1";
    let kept = Arc::new(Kept::default());
    let observer: Arc<dyn ChildObserver> = Arc::<Kept>::clone(&kept);
    let watch = Watch { observer: Some(observer), cleaner: Some(Arc::new(angles)) };
    let upstream = upstream(StdioSettings { watch, ..settings(shell(script)) });
    let error = upstream.call(post(&request(1, "initialize", &json!({})), None)).await.expect_err("a death");
    assert!(error.detail.ends_with("begin *******\n******> end"), "{}", error.detail);
    until("the failure is noted", || upstream.status().last_error.is_some()).await;
    assert!(!upstream.status().last_error.unwrap().contains("secret"));
    let all = kept.all();
    assert_eq!(all[1..3], ["stderr begin <secret", "stderr secret> end"]);
}

#[tokio::test]
async fn the_program_that_cannot_be_started_and_the_member_that_is_wrong_are_named_clean() {
    let watch = Watch { cleaner: Some(Arc::new(angles)), ..Watch::default() };
    let missing = StdioSettings { watch: watch.clone(), ..settings(vec!["no-<such>".to_owned()]) };
    let error = upstream(missing).call(post(&request(1, "x", &json!({})), None)).await.expect_err("no program");
    assert!(error.detail.contains("`no-*****>`"), "{}", error.detail);
    let twice = r#"read line; echo '{"jsonrpc":"2.0","id":1,"a<b>":1,"result":{},"result":{}}'; cat"#;
    let wrong = StdioSettings { watch, ..settings(shell(twice)) };
    assert!(format!("{wrong:?}").contains(r#"program: Some("sh")"#) && !format!("{wrong:?}").contains("read line"));
    let error = upstream(wrong).call(post(&request(1, "x", &json!({})), None)).await.expect_err("no message");
    assert!(error.detail.contains("broke the protocol"), "{}", error.detail);
}

#[tokio::test]
async fn a_line_of_stderr_longer_than_a_pipe_gives_at_once_is_told_in_one_piece() {
    let script = r#"head -c 50000 /dev/zero | tr '\0' x >&2; echo >&2; read line; exit 1"#;
    let (kept, upstream) = watched(settings(shell(script)));
    let error = upstream.call(post(&request(1, "initialize", &json!({})), None)).await.expect_err("a death");
    assert!(error.detail.len() < 5_000, "{} bytes", error.detail.len());
    kept.until("exited").await;
    let all = kept.all();
    assert_eq!(all.iter().find(|told| told.starts_with("stderr")).unwrap().len(), "stderr ".len() + 50_000);
}
