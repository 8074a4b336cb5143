//! An MCP session over a connection of its own.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use http::{Method, StatusCode};

use super::answer;
use super::connection::{Connection, Head};
use crate::exchange::{Call, FIRST_ID, INITIALIZED, PATH, PROTOCOL_VERSION, SESSION_ID, initialize, write_call};

/// An MCP session over a connection of its own.
pub(super) struct Session {
    connection: Connection,
    /// Header lines of every request: the same throughout, so written once.
    headers: String,
    next_id: u64,
    /// Reused from call to call, so that a call allocates nothing.
    request: String,
    message: String,
    body: Vec<u8>,
}

impl Session {
    /// Connects and shakes hands.
    pub(super) async fn open(target: SocketAddr) -> anyhow::Result<Self> {
        let mut session = Self {
            connection: Connection::open(target).await?,
            headers: common_headers(target),
            next_id: FIRST_ID,
            request: String::new(),
            message: initialize(),
            body: Vec::new(),
        };
        let head = session.exchange(Method::POST).await.context("initialize")?;
        ensure!(head.status == StatusCode::OK, "initialize: status {}", head.status);
        let id = head.session_id.context("initialize: the answer names no session")?;
        session.headers.push_str(&format!("{SESSION_ID}: {id}\r\nmcp-protocol-version: {PROTOCOL_VERSION}\r\n"));

        session.message.replace_range(.., INITIALIZED);
        let head = session.exchange(Method::POST).await.context("notifications/initialized")?;
        ensure!(head.status == StatusCode::ACCEPTED, "notifications/initialized: status {}", head.status);
        Ok(session)
    }

    /// Makes a call and checks its answer.
    pub(super) async fn call(&mut self, call: Call) -> anyhow::Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        self.message.clear();
        write_call(&mut self.message, call, id);
        let head = self.exchange(Method::POST).await.context("tools/call")?;
        ensure!(head.status == StatusCode::OK, "tools/call: status {}", head.status);
        answer::check(call, id, &head.media, &self.body, &mut self.message)
    }

    /// Opens the stream of what the server sends unasked, and leaves it open. The connection is good for nothing else
    /// from then on.
    pub(super) async fn listen(&mut self) -> anyhow::Result<()> {
        self.message.clear();
        self.send(Method::GET).await?;
        let head = self.connection.read_head().await.context("GET")?;
        ensure!(head.status == StatusCode::OK, "GET: status {}", head.status);
        Ok(())
    }

    /// Ends the session.
    pub(super) async fn close(mut self) -> anyhow::Result<()> {
        self.message.clear();
        let head = self.exchange(Method::DELETE).await.context("DELETE")?;
        ensure!(head.status.is_success(), "DELETE: status {}", head.status);
        Ok(())
    }

    /// Sends `self.message` and reads the whole answer into `self.body`.
    async fn exchange(&mut self, method: Method) -> anyhow::Result<Head> {
        self.send(method).await?;
        let head = self.connection.read_head().await?;
        self.body.clear();
        self.connection.read_body(&head, &mut self.body).await?;
        Ok(head)
    }

    async fn send(&mut self, method: Method) -> anyhow::Result<()> {
        use std::fmt::Write as _;
        self.request.clear();
        write!(self.request, "{method} {PATH} HTTP/1.1\r\n{}", self.headers)?;
        match method {
            Method::POST => write!(
                self.request,
                "content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
                self.message.len(),
                self.message
            )?,
            _ => self.request.push_str("\r\n"),
        }
        self.connection.send(self.request.as_bytes()).await
    }
}

fn common_headers(target: SocketAddr) -> String {
    format!("host: {target}\r\naccept: application/json, text/event-stream\r\nuser-agent: shadowcat-load\r\n")
}
