//! The one pass over a message, and what JSON-RPC asks of what it found.

use super::{Kind, Limits};
use crate::json::{MAX_DEPTH, Scanner, Span, Text};
use crate::{Malformed, Reason};

/// The key that makes a request modern (2026-07-28, "Overview", `_meta`).
const META_PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The members a gateway acts on, wherever they stood.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    pub(super) id: Option<Span>,
    pub(super) method: Option<Text>,
    pub(super) name: Option<Text>,
    pub(super) uri: Option<Text>,
    pub(super) task_id: Option<Text>,
    pub(super) protocol_version: Option<Text>,
    pub(super) capabilities: Option<Span>,
    pub(super) meta_protocol_version: Option<Text>,
    pub(super) progress_token: Option<Span>,
    pub(super) cancelled_request: Option<Span>,
    pub(super) is_error_result: bool,
}

/// Reads a message; the error carries the id where it can be told without doubt.
pub(super) fn read(body: &[u8], limits: Limits) -> Result<(Kind, Members), Malformed> {
    let limit = limits.size.min(u32::MAX as usize);
    if body.len() > limit {
        return Err(Malformed::new(
            Reason::TooLarge {
                size: body.len(),
                limit,
            },
            None,
        ));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        Malformed::new(
            Reason::NotUtf8 {
                offset: error.valid_up_to(),
            },
            None,
        )
    })?;
    let mut scanner = Scanner::new(text, limits.depth);
    Pass::default().run(&mut scanner).map_err(|reason| {
        let id = salvage_id(text, &reason);
        Malformed::new(reason, id)
    })
}

/// What one pass has seen.
#[derive(Default)]
struct Pass {
    members: Members,
    has_jsonrpc: bool,
    has_null_id: bool,
    has_result: bool,
    has_error: bool,
    /// `params.progressToken`, which counts only in `notifications/progress`.
    params_token: Option<Span>,
    /// `params.requestId`, which counts only in `notifications/cancelled`.
    params_request: Option<Span>,
}

impl Pass {
    fn run(mut self, scanner: &mut Scanner<'_>) -> Result<(Kind, Members), Reason> {
        match scanner.peek() {
            Some(b'{') => {}
            Some(b'[') => return Err(Reason::Batch),
            _ => {
                scanner.skip()?;
                scanner.end()?;
                return Err(Reason::NotAnObject);
            }
        }
        scanner.object("the message", |scanner, name| self.member(scanner, name))?;
        scanner.end()?;
        let kind = self.kind()?;
        let is = |text: &Option<Text>, method: &str| match text {
            Some(Text::Plain(span)) => scanner.slice(*span) == method,
            Some(Text::Unescaped(text)) => **text == *method,
            None => false,
        };
        if is(&self.members.method, "notifications/progress") {
            self.members.progress_token = self.params_token;
        }
        if is(&self.members.method, "notifications/cancelled") {
            self.members.cancelled_request = self.params_request;
        }
        Ok((kind, self.members))
    }

    fn member(&mut self, scanner: &mut Scanner<'_>, name: &str) -> Result<(), Reason> {
        match name {
            "jsonrpc" => self.jsonrpc(scanner),
            "id" => self.id(scanner),
            "method" => self.method(scanner),
            "params" => self.params(scanner),
            "result" => self.result(scanner),
            "error" => self.error(scanner),
            _ => scanner.skip().map(|_| ()),
        }
    }

    fn jsonrpc(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        let value = scanner.skip()?;
        if scanner.slice(value) != r#""2.0""# {
            return Err(Reason::NotJsonRpc {
                what: r#"the member "jsonrpc" must be "2.0""#,
            });
        }
        self.has_jsonrpc = true;
        Ok(())
    }

    fn id(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        let first = scanner.peek();
        self.members.id = scanner.id()?;
        self.has_null_id = first == Some(b'n');
        match (first, self.members.id) {
            (_, Some(_)) | (Some(b'n'), None) => Ok(()),
            (Some(b'-' | b'0'..=b'9'), None) => Err(Reason::BadId {
                what: "write the number without fraction and exponent",
            }),
            _ => Err(Reason::BadId {
                what: "send no other kind of value",
            }),
        }
    }

    fn method(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        self.members.method = scanner.text()?;
        match self.members.method {
            Some(_) => Ok(()),
            None => Err(Reason::NotJsonRpc {
                what: r#"the member "method" must be a string"#,
            }),
        }
    }

    /// `null` passes as if it were absent, as most servers take it.
    fn params(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        match scanner.peek() {
            Some(b'{') => {}
            Some(b'n') => return scanner.skip().map(|_| ()),
            Some(b'[') => return Err(Reason::NotJsonRpc { what: PARAMS_ARRAY }),
            _ => {
                scanner.skip()?;
                return Err(Reason::NotJsonRpc {
                    what: r#"the member "params" must be an object"#,
                });
            }
        }
        scanner.object("params", |scanner, name| {
            let members = &mut self.members;
            match name {
                "name" => members.name = scanner.text()?,
                "uri" => members.uri = scanner.text()?,
                "taskId" => members.task_id = scanner.text()?,
                "protocolVersion" => members.protocol_version = scanner.text()?,
                "capabilities" => members.capabilities = Some(scanner.skip()?),
                "progressToken" => self.params_token = scanner.id()?,
                "requestId" => self.params_request = scanner.id()?,
                "_meta" => members.meta(scanner)?,
                _ => _ = scanner.skip()?,
            }
            Ok(())
        })
    }

    fn result(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        self.has_result = true;
        if scanner.peek() != Some(b'{') {
            return scanner.skip().map(|_| ());
        }
        let members = &mut self.members;
        scanner.object("result", |scanner, name| {
            match name {
                "protocolVersion" => members.protocol_version = scanner.text()?,
                "capabilities" => members.capabilities = Some(scanner.skip()?),
                "isError" => {
                    let value = scanner.skip()?;
                    members.is_error_result = scanner.slice(value) == "true";
                }
                _ => _ = scanner.skip()?,
            }
            Ok(())
        })
    }

    fn error(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        self.has_error = true;
        let object = scanner.peek() == Some(b'{');
        scanner.skip()?;
        if object {
            Ok(())
        } else {
            Err(Reason::NotJsonRpc {
                what: r#"the member "error" must be an object"#,
            })
        }
    }

    /// What JSON-RPC 2.0 (sections 4 and 5) and MCP (2025-11-25, "Overview") make of the members.
    fn kind(&self) -> Result<Kind, Reason> {
        if !self.has_jsonrpc {
            return Err(Reason::NotJsonRpc {
                what: r#"the member "jsonrpc" is missing: add "jsonrpc": "2.0""#,
            });
        }
        let has_id = self.members.id.is_some();
        let kind = match (
            self.members.method.is_some(),
            self.has_result,
            self.has_error,
        ) {
            (true, false, false) if has_id || self.has_null_id => Kind::Request,
            (true, false, false) => return Ok(Kind::Notification),
            (false, true, false) => Kind::Response,
            (false, false, true) => return Ok(Kind::ErrorResponse),
            (false, true, true) => {
                return Err(Reason::NotJsonRpc {
                    what: r#"send "result" or "error", not both"#,
                });
            }
            (false, false, false) => return Err(Reason::NotJsonRpc { what: NEITHER }),
            (true, _, _) => {
                return Err(Reason::NotJsonRpc {
                    what: METHOD_AND_ANSWER,
                });
            }
        };
        match (has_id, self.has_null_id) {
            (true, _) => Ok(kind),
            (false, true) => Err(Reason::BadId {
                what: "null is neither, leave it out of a notification",
            }),
            (false, false) => Err(Reason::NotJsonRpc {
                what: r#"a response needs the "id" of its request"#,
            }),
        }
    }
}

const PARAMS_ARRAY: &str = r#"the member "params" is an array: name the parameters in an object"#;
const NEITHER: &str = r#"a message needs "method", "result" or "error""#;
const METHOD_AND_ANSWER: &str = r#"a message with "method" can have neither "result" nor "error""#;

impl Members {
    /// `params._meta`; anything but an object means nothing here and is the server's to refuse.
    fn meta(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        if scanner.peek() != Some(b'{') {
            return scanner.skip().map(|_| ());
        }
        scanner.object("params._meta", |scanner, name| {
            match name {
                META_PROTOCOL_VERSION => self.meta_protocol_version = scanner.text()?,
                "progressToken" => self.progress_token = scanner.id()?,
                _ => _ = scanner.skip()?,
            }
            Ok(())
        })
    }
}

/// Looks for the id of a refused message, which may stand behind what was refused. Off the hot path, so it costs a
/// second pass, which stops where the text stops being JSON.
fn salvage_id(text: &str, reason: &Reason) -> Option<Box<str>> {
    if matches!(reason, Reason::DuplicateKey { key, .. } if **key == *"id") {
        return None;
    }
    let mut id = None;
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    if scanner.peek() != Some(b'{') {
        return None;
    }
    // Whatever ends this pass has been reported by the first one.
    let _ = scanner.object("the message", |scanner, name| {
        if name == "id" {
            id = scanner.id()?.map(|span| scanner.slice(span).into());
        } else {
            scanner.skip()?;
        }
        Ok(())
    });
    id
}
