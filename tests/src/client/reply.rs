//! The head of an answer, and the ways to read the rest.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::events::Events;
use super::failure::Failure;

/// An answer whose head is there. Its body is read only as far as the test asks for it.
#[derive(Debug)]
pub struct Reply {
    response: Response<Incoming>,
}

impl Reply {
    pub(super) fn new(response: Response<Incoming>) -> Self {
        Self { response }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The version of HTTP it came over.
    pub fn version(&self) -> Version {
        self.response.version()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// One header.
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.response.headers().get(name)
    }

    /// Whether it is an event stream.
    pub fn is_stream(&self) -> bool {
        self.header(&CONTENT_TYPE).is_some_and(|media_type| media_type.as_bytes().starts_with(b"text/event-stream"))
    }

    /// Its events, as they come.
    pub fn events(self) -> Events {
        assert!(self.is_stream(), "not an event stream: {:?}", self.response);
        Events::new(self.response.into_body())
    }

    /// The whole body as text.
    pub async fn text(self) -> Result<String, Failure> {
        let body = self.response.into_body().collect().await.map_err(|error| Failure::broken(&error))?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    }

    /// The JSON-RPC result, from a JSON body or the last message of an event stream.
    pub async fn result(self) -> Result<Value, Failure> {
        let status = self.status();
        if self.is_stream() {
            return self.events().result().await;
        }
        let body = self.text().await?;
        let message: Value = serde_json::from_str(&body).map_err(|_| Failure::unreadable(status, &body))?;
        result_of(status, &message)
    }

    /// What the gateway refused with: HTTP status and the JSON-RPC error.
    ///
    /// # Panics
    ///
    /// If it did not refuse.
    pub async fn failure(self) -> Failure {
        match self.result().await {
            Ok(result) => panic!("a result where a refusal was due: {result}"),
            Err(failure) => failure,
        }
    }
}

/// The result of a JSON-RPC answer, or its error.
pub(super) fn result_of(status: StatusCode, message: &Value) -> Result<Value, Failure> {
    match message.get("result") {
        Some(result) => Ok(result.clone()),
        None if message.get("error").is_some() => Err(Failure::said(status, &message["error"])),
        None => Err(Failure::unreadable(status, &message.to_string())),
    }
}
