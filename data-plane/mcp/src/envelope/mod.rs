//! The envelope of one JSON-RPC message: what a gateway must know of it, and the bytes it came in.

mod members;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::json::{Span, Text};
use crate::{Id, Malformed};
use members::Members;

/// Deepest nesting of a message. Tool arguments and JSON schemas of real servers stay below 20; 64 leaves room and keeps
/// recursive parsers behind the gateway far from the end of their stacks.
pub const DEFAULT_DEPTH: u16 = 64;

/// Longest message in bytes: what the official SDKs accept by default, so that nothing they take is refused here.
pub const DEFAULT_SIZE: usize = 4 * 1024 * 1024;

/// What a message may cost before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Containers inside each other, the message itself included. More than 128 counts as 128.
    pub depth: u16,
    /// Bytes. More than 4 GiB counts as 4 GiB.
    pub size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: DEFAULT_DEPTH, size: DEFAULT_SIZE }
    }
}

/// What a message is (JSON-RPC 2.0, sections 4 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Has a method and an id.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result.
    Response,
    /// Has an error. Its id may be missing or null, where the peer could not read ours.
    ErrorResponse,
}

/// One JSON-RPC message: its bytes, and where in them the members stand that a gateway acts on.
///
/// Reading checks the whole text (UTF-8, the grammar of RFC 8259, depth, size) and refuses what two readers could take
/// for two different messages: a member name that occurs twice in the message, in `params`, in `params._meta` or in
/// `result`, whatever its escapes. Duplicates elsewhere (tool arguments, say) are the server's concern: nothing here is
/// decided on them. The bytes themselves are never changed; [`into_body`](Self::into_body) gives back what came in.
///
/// `Debug` shows no content, since messages hold what users typed.
///
/// ```
/// use shadowcat_mcp::{Envelope, Kind, Limits};
///
/// let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
/// let message = Envelope::read(body.into(), Limits::default())?;
/// assert_eq!((message.kind(), message.name()), (Kind::Request, Some("echo")));
///
/// let refusal = Envelope::read("[]".into(), Limits::default()).expect_err("a batch");
/// assert!(refusal.to_string().contains("send each message in a request of its own"));
/// # Ok::<(), shadowcat_mcp::Malformed>(())
/// ```
#[derive(Clone)]
pub struct Envelope {
    body: Bytes,
    kind: Kind,
    members: Members,
}

impl Envelope {
    /// Reads one message.
    ///
    /// # Errors
    /// [`Malformed`] if it is not one unambiguous JSON-RPC 2.0 message inside `limits`.
    pub fn read(body: Bytes, limits: Limits) -> Result<Self, Malformed> {
        let (kind, members) = read::read(&body, limits)?;
        Ok(Self { body, kind, members })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The id. Every [`Kind::Request`] and [`Kind::Response`] has one.
    #[must_use]
    pub fn id(&self) -> Option<Id<'_>> {
        self.members.id.map(|span| Id::checked(self.slice(span)))
    }

    /// The method. Every [`Kind::Request`] and [`Kind::Notification`] has one.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.text(&self.members.method)
    }

    /// `params.name`, if it is a string: the tool of `tools/call`, the prompt of `prompts/get`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.text(&self.members.name)
    }

    /// `params.uri`, if it is a string: the resource of `resources/read`, `resources/subscribe` and their like.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        self.text(&self.members.uri)
    }

    /// `params.taskId`, if it is a string: the task of `tasks/*` (2025-11-25, "Tasks").
    #[must_use]
    pub fn task_id(&self) -> Option<&str> {
        self.text(&self.members.task_id)
    }

    /// `params.protocolVersion` or `result.protocolVersion`, if it is a string: the version that `initialize` asks for or
    /// grants (2025-11-25, "Lifecycle").
    #[must_use]
    pub fn protocol_version(&self) -> Option<&str> {
        self.text(&self.members.protocol_version)
    }

    /// The JSON text of `params.capabilities` or `result.capabilities` (2025-11-25, "Lifecycle").
    #[must_use]
    pub fn capabilities(&self) -> Option<&str> {
        self.members.capabilities.map(|span| self.slice(span))
    }

    /// `params._meta["io.modelcontextprotocol/protocolVersion"]`, if it is a string: its presence makes a request modern
    /// (2026-07-28, "Versioning").
    #[must_use]
    pub fn meta_protocol_version(&self) -> Option<&str> {
        self.text(&self.members.meta_protocol_version)
    }

    /// The token under which progress is asked for (`params._meta.progressToken`), or under which
    /// `notifications/progress` reports it (`params.progressToken`) (2025-11-25, "Progress").
    #[must_use]
    pub fn progress_token(&self) -> Option<Id<'_>> {
        self.token_span().map(|span| Id::checked(self.slice(span)))
    }

    /// `params.requestId` of `notifications/cancelled` (2025-11-25, "Cancellation").
    #[must_use]
    pub fn cancelled_request(&self) -> Option<Id<'_>> {
        self.cancelled_span().map(|span| Id::checked(self.slice(span)))
    }

    /// Whether `result.isError` is true: a tool that failed as tools do (2025-11-25, "Tools", error handling).
    #[must_use]
    pub fn is_error_result(&self) -> bool {
        self.members.is_error_result
    }

    /// The message as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The same message in memory of its own: a body that is kept would keep the whole buffer alive that it arrived in.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), kind: self.kind, members: self.members.clone() }
    }

    /// The message as it came.
    #[must_use]
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// The message with another id (JSON text); unchanged where it has none.
    ///
    /// Like the two below it, for children that several sessions share: everyone else's bytes pass as they are.
    #[must_use]
    pub fn with_id(&self, id: &str) -> Bytes {
        self.spliced(self.members.id, id)
    }

    /// The message with another progress token (JSON text); unchanged where it has none.
    #[must_use]
    pub fn with_progress_token(&self, token: &str) -> Bytes {
        self.spliced(self.token_span(), token)
    }

    /// The message with another `params.requestId` (JSON text); unchanged where it has none.
    #[must_use]
    pub fn with_cancelled_request(&self, id: &str) -> Bytes {
        self.spliced(self.cancelled_span(), id)
    }

    fn token_span(&self) -> Option<Span> {
        match self.method() {
            Some("notifications/progress") => self.members.params_token,
            _ => self.members.meta_token,
        }
    }

    fn cancelled_span(&self) -> Option<Span> {
        match self.method() {
            Some("notifications/cancelled") => self.members.params_request,
            _ => None,
        }
    }

    fn spliced(&self, at: Option<Span>, json: &str) -> Bytes {
        let Some(range) = at.map(Span::range) else {
            return self.body.clone();
        };
        let mut spliced = BytesMut::with_capacity(self.body.len() - range.len() + json.len());
        spliced.extend_from_slice(&self.body[..range.start]);
        spliced.extend_from_slice(json.as_bytes());
        spliced.extend_from_slice(&self.body[range.end..]);
        spliced.freeze()
    }

    fn text<'a>(&'a self, text: &'a Option<Text>) -> Option<&'a str> {
        Some(match text.as_ref()? {
            Text::Plain(span) => self.slice(*span),
            Text::Unescaped(text) => text,
        })
    }

    fn slice(&self, span: Span) -> &str {
        std::str::from_utf8(&self.body[span.range()])
            .expect("the body was checked to be UTF-8 and spans end at ASCII bytes")
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("kind", &self.kind)
            .field("id", &self.id().map(Id::as_json))
            .field("method", &self.method())
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
