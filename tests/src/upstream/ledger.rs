//! What the scripted server saw, and what it was told to do.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// A call as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request's headers.
    pub headers: HeaderMap,
    /// The message.
    pub body: Bytes,
}

/// Everything the server remembers.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) calls: HashMap<String, Vec<Seen>>,
    pub(super) messages: HashMap<String, usize>,
    pub(super) sessions: HashSet<String>,
    pub(super) scripts: HashMap<String, (&'static str, Bytes)>,
    pub(super) listeners: Vec<mpsc::Sender<Bytes>>,
    /// Questions put to a client, by the id they carry, until its answer comes.
    pub(super) questions: HashMap<String, oneshot::Sender<Value>>,
    gates: HashMap<String, Arc<Gate>>,
}

impl Ledger {
    /// Reads or writes, under a lock that is never held across a wait.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        work(&mut self.book.lock().expect("no test panics while it holds the ledger"))
    }

    /// What a test said is answered to `name`: a token, a notification's method, or `GET`.
    pub(super) fn script(&self, name: &str) -> Option<(&'static str, Bytes)> {
        self.with(|book| book.scripts.get(name).cloned())
    }

    pub(super) fn gate(&self, token: &str) -> Arc<Gate> {
        self.with(|book| Arc::clone(book.gates.entry(token.to_owned()).or_default()))
    }
}

/// Holds a call back until the test lets it go on.
#[derive(Debug)]
pub struct Gate {
    released: Semaphore,
    sent: AtomicU64,
    open: AtomicU64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { released: Semaphore::new(0), sent: AtomicU64::new(0), open: AtomicU64::new(0) }
    }
}

impl Gate {
    /// Lets `count` more events (or the held answer) go.
    pub fn release(&self, count: usize) {
        self.released.add_permits(count);
    }

    /// Events given to the connection so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Answers under way: begun, and neither finished nor abandoned by whoever reads them.
    pub fn under_way(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) async fn pass(&self) {
        self.released.acquire().await.expect("a gate is never closed").forget();
    }

    pub(super) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts an answer as under way for as long as the result lives.
    pub(super) fn enter(self: &Arc<Self>) -> UnderWay {
        self.open.fetch_add(1, Ordering::SeqCst);
        UnderWay(Arc::clone(self))
    }
}

/// An answer that is under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Gate>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
