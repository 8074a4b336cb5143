//! HTTP/1.1 from the client's side, as little of it as a measurement needs.
//!
//! hyper's client would do, but costs several times as much per call as the upstream does, and would then be the
//! better part of what is measured.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, BytesMut};
use http::StatusCode;
use httparse::Status;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::exchange::SESSION_ID;

/// More headers than any server here sends.
const MOST_HEADERS: usize = 32;

/// What one read may bring: an SSE answer of 50 events fits.
const READ_SIZE: usize = 16 * 1024;

/// After every chunk, and after the last.
const LINE_END: &[u8] = b"\r\n";

/// A keep-alive connection.
pub(super) struct Connection {
    stream: TcpStream,
    unread: BytesMut,
}

/// What of an answer's head matters here.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) session_id: Option<String>,
    pub(super) media: Media,
    framing: Framing,
}

/// What an answer says its body is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    EventStream,
    Other,
}

/// Where an answer's body ends.
enum Framing {
    Length(usize),
    Chunked,
}

impl Connection {
    pub(super) async fn open(target: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: BytesMut::new() })
    }

    pub(super) async fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).await.context("cannot send")
    }

    pub(super) async fn read_head(&mut self) -> anyhow::Result<Head> {
        loop {
            if let Some((length, head)) = parse_head(&self.unread)? {
                self.unread.advance(length);
                return Ok(head);
            }
            self.read_more().await?;
        }
    }

    /// Appends the whole body to `body`.
    pub(super) async fn read_body(&mut self, head: &Head, body: &mut Vec<u8>) -> anyhow::Result<()> {
        match head.framing {
            Framing::Length(length) => self.take(length, body).await?,
            Framing::Chunked => while self.read_chunk(body).await? > 0 {},
        }
        Ok(())
    }

    /// Appends one chunk to `body`; its size, which is zero for the last.
    async fn read_chunk(&mut self, body: &mut Vec<u8>) -> anyhow::Result<usize> {
        let size = loop {
            match httparse::parse_chunk_size(&self.unread) {
                Ok(Status::Complete((line, size))) => {
                    self.unread.advance(line);
                    break usize::try_from(size)?;
                }
                Ok(Status::Partial) => self.read_more().await?,
                Err(_) => bail!("a chunk size that is none"),
            }
        };
        self.take(size, body).await?;
        while self.unread.len() < LINE_END.len() {
            self.read_more().await?;
        }
        ensure!(self.unread.starts_with(LINE_END), "a chunk longer than it says, or trailers");
        self.unread.advance(LINE_END.len());
        Ok(size)
    }

    async fn take(&mut self, mut length: usize, body: &mut Vec<u8>) -> anyhow::Result<()> {
        loop {
            let piece = length.min(self.unread.len());
            body.extend_from_slice(&self.unread[..piece]);
            self.unread.advance(piece);
            length -= piece;
            if length == 0 {
                return Ok(());
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        self.unread.reserve(READ_SIZE);
        let count = self.stream.read_buf(&mut self.unread).await.context("cannot read")?;
        ensure!(count > 0, "closed before the answer was complete");
        Ok(())
    }
}

/// The head and its length, once it is all there.
fn parse_head(bytes: &[u8]) -> anyhow::Result<Option<(usize, Head)>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Status::Complete(length) = response.parse(bytes)? else {
        return Ok(None);
    };
    let mut head = Head {
        status: StatusCode::from_u16(response.code.unwrap_or_default())?,
        session_id: None,
        media: Media::Other,
        framing: Framing::Length(0),
    };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            head.framing = Framing::Length(std::str::from_utf8(header.value)?.parse()?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("content-type") {
            head.media = media(header.value);
        } else if header.name.eq_ignore_ascii_case(SESSION_ID) {
            head.session_id = Some(std::str::from_utf8(header.value)?.to_owned());
        }
    }
    Ok(Some((length, head)))
}

fn media(value: &[u8]) -> Media {
    if value.starts_with(b"application/json") {
        Media::Json
    } else if value.starts_with(b"text/event-stream") {
        Media::EventStream
    } else {
        Media::Other
    }
}
