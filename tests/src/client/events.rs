//! Reading an event stream, as the HTML standard says.

use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::failure::Failure;
use super::reply::result_of;

/// One event. Comments are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The id, by which the stream can be resumed.
    pub id: Option<String>,
    /// The type.
    pub name: Option<String>,
    /// The data lines, joined.
    pub data: String,
    /// Milliseconds to wait before reconnecting.
    pub retry: Option<u64>,
}

impl Event {
    /// Its message; `Null` for a priming event.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }

    fn read(block: &str) -> Self {
        let mut event = Self::default();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => event.id = Some(value.to_owned()),
                "event" => event.name = Some(value.to_owned()),
                "retry" => event.retry = value.parse().ok(),
                "data" if event.data.is_empty() => event.data = value.to_owned(),
                "data" => event.data = format!("{}\n{value}", event.data),
                _ => {}
            }
        }
        event
    }
}

/// The events of one answer.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    unread: Vec<u8>,
}

impl Events {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, unread: Vec::new() }
    }

    /// The next event; `None` at the end of the stream, an error where the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            while let Some(block) = self.next_block() {
                let event = Event::read(&block);
                if event != Event::default() {
                    return Ok(Some(event));
                }
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| Failure::broken(&error))?;
            self.unread.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        }
    }

    /// As [`next`](Self::next), skipping events that carry no message.
    pub async fn next_message(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            match self.next().await? {
                Some(event) if event.data.is_empty() => {}
                event => return Ok(event),
            }
        }
    }

    /// Reads on until the answer of the call.
    pub async fn result(mut self) -> Result<Value, Failure> {
        while let Some(event) = self.next_message().await? {
            let message = event.json();
            if message.get("method").is_none() {
                return result_of(StatusCode::OK, &message);
            }
        }
        Err(Failure::unreadable(StatusCode::OK, "the stream ended without an answer"))
    }

    /// Up to the next blank line, with lines that end as any of the servers here ends them.
    fn next_block(&mut self) -> Option<String> {
        let end_of = |blank: &[u8]| {
            let start = self.unread.windows(blank.len()).position(|bytes| bytes == blank)?;
            Some(start + blank.len())
        };
        let end = [end_of(b"\n\n"), end_of(b"\r\n\r\n")].into_iter().flatten().min()?;
        let block: Vec<u8> = self.unread.drain(..end).collect();
        Some(String::from_utf8_lossy(&block).into_owned())
    }
}
