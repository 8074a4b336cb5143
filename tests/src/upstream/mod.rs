//! An MCP server of the harness's own, over Streamable HTTP, that does what a test tells it to and remembers what it saw.
//!
//! A call names itself by `arguments.token`: that is how repeats are counted, and how a test holds one call back or gives it an
//! answer byte by byte. What the tools do is in [`tools`] and [`lies`].

mod body;
mod ledger;
mod lies;
mod serve;
#[cfg(test)]
mod tests;
mod tools;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub use ledger::{Gate, Seen};

use ledger::Ledger;

/// Whether the server mints sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sessions {
    Minted,
    None,
}

/// A running scripted server; stops when dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    server: AbortHandle,
}

impl Upstream {
    /// Starts one that mints sessions and insists on them.
    pub async fn start() -> Self {
        Self::serve(Sessions::Minted).await
    }

    /// Starts one that knows no sessions.
    pub async fn start_without_sessions() -> Self {
        Self::serve(Sessions::None).await
    }

    async fn serve(sessions: Sessions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let ledger = Arc::new(Ledger::default());
        let server = tokio::spawn(serve::accept(listener, Arc::clone(&ledger), sessions)).abort_handle();
        Self { address, ledger, server }
    }

    /// Its MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// How often the call with this token arrived.
    pub fn calls(&self, token: &str) -> usize {
        self.seen(token).len()
    }

    /// Every arrival of the call with this token.
    pub fn seen(&self, token: &str) -> Vec<Seen> {
        self.ledger.with(|book| book.calls.get(token).cloned().unwrap_or_default())
    }

    /// Tokens that arrived more than once.
    pub fn repeated(&self) -> Vec<String> {
        self.ledger
            .with(|book| book.calls.iter().filter(|(_, seen)| seen.len() > 1).map(|(token, _)| token.clone()).collect())
    }

    /// Distinct tokens that arrived.
    pub fn distinct_calls(&self) -> usize {
        self.ledger.with(|book| book.calls.len())
    }

    /// Messages of a method that arrived; an answer of the client counts as `""`.
    pub fn messages(&self, method: &str) -> usize {
        self.ledger.with(|book| book.messages.get(method).copied().unwrap_or_default())
    }

    /// Sessions open here.
    pub fn sessions(&self) -> usize {
        self.ledger.with(|book| book.sessions.len())
    }

    /// Forgets every session, as a server does that starts anew.
    pub fn forget_sessions(&self) {
        self.ledger.with(|book| book.sessions.clear());
    }

    /// The gate of the call with this token: `stream` and `hold` wait there.
    pub fn gate(&self, token: &str) -> Arc<Gate> {
        self.ledger.gate(token)
    }

    /// What the tool `scripted` answers, byte for byte, to the call with this token; or, instead of a token, what a notification
    /// of this method is accepted with, or `GET` refused with.
    pub fn script(&self, token: &str, content_type: &'static str, answer: impl Into<Bytes>) {
        let answer = (content_type, answer.into());
        self.ledger.with(|book| book.scripts.insert(token.to_owned(), answer));
    }

    /// Standing GET streams.
    pub fn listeners(&self) -> usize {
        self.ledger.with(|book| {
            book.listeners.retain(|listener| !listener.is_closed());
            book.listeners.len()
        })
    }

    /// Says something unasked on every standing GET stream.
    pub async fn say(&self, message: &Value) {
        let event = Bytes::from(format!("data: {message}\n\n"));
        let listeners = self.ledger.with(|book| book.listeners.clone());
        for listener in listeners {
            // A listener that has just gone hears nothing, as with any server.
            let _ = listener.send(event.clone()).await;
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}
