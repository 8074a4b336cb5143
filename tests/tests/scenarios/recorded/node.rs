//! One data plane without a control plane that records everything, and clients that call until it dies.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use shadowcat_tests::{Client, Fleet, Signal, fleet, one_route};

/// Clients that call at once, and how often each does: what the recorder of a debug build writes at once, on a machine busy with
/// other tests.
const CALLERS: usize = 4;
const CALL_EVERY: Duration = Duration::from_millis(5);

/// An orderly end has nothing to wait for.
const END_WITHIN: Duration = Duration::from_secs(15);

/// The configuration of one route to the server at `url`, with everything recorded.
pub(super) fn recorded(url: &str) -> Value {
    let mut configuration = one_route(url);
    configuration["recordings"] = json!([{ "name": "all" }]);
    configuration["routes"][0]["recording"] = json!("all");
    configuration
}

/// A call that was answered.
#[derive(Debug)]
pub(super) struct Answered {
    /// Its token, which no other call has.
    pub(super) token: String,
    /// When the answer was there.
    pub(super) at: Instant,
}

/// A data plane whose configuration records.
pub(super) struct Node {
    pub(super) fleet: Fleet,
    data: PathBuf,
    calls: AtomicUsize,
}

impl Node {
    /// Starts one that keeps its files in `data`.
    pub(super) async fn start(data: &Path, configuration: Value) -> Self {
        let directory = data.to_str().unwrap();
        let fleet = fleet().configuration(configuration).environment("SHADOWCAT_DATA_DIR", directory).start().await;
        Self { fleet, data: data.to_owned(), calls: AtomicUsize::new(0) }
    }

    /// Where it records.
    pub(super) fn spool(&self) -> PathBuf {
        self.data.join("spool")
    }

    /// Calls it from several places at once until `life` is over, and kills it.
    pub(super) async fn live(&mut self, life: impl Future<Output = ()>) -> Vec<Answered> {
        let client = self.fleet.client(0).await;
        let answered = Mutex::new(Vec::new());
        let callers = (0..CALLERS).map(|_| self.call_for_ever(&client, &answered));
        tokio::select! {
            () = life => {}
            _ = join_all(callers) => unreachable!("they call for ever"),
        }
        self.fleet.plane_mut(0).program().kill();
        answered.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it in order.
    pub(super) async fn end(&mut self) {
        let program = self.fleet.plane_mut(0).program();
        program.signal(Signal::TERM);
        program.end(END_WITHIN).await;
    }

    async fn call_for_ever(&self, client: &Client, answered: &Mutex<Vec<Answered>>) {
        let mut due = tokio::time::interval(CALL_EVERY);
        loop {
            due.tick().await;
            let token = format!("call-{}", self.calls.fetch_add(1, Ordering::Relaxed));
            let answer =
                client.call_text("echo", json!({ "token": token })).await.expect("it lives until it is killed");
            assert_eq!(answer, token);
            let answer = Answered { token, at: Instant::now() };
            answered.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
        }
    }
}
