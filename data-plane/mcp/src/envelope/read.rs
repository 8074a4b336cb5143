//! The one pass over a message, and what JSON-RPC asks of what it found.

use super::members::Members;
use super::{Kind, Limits};
use crate::json::{MAX_DEPTH, Scanner};
use crate::{Malformed, Reason};

/// Reads a message; the error carries the id where it can be told without doubt.
pub(super) fn read(body: &[u8], limits: Limits) -> Result<(Kind, Members), Malformed> {
    let refuse = |reason| Malformed::new(reason, None);
    let limit = limits.size.min(u32::MAX as usize);
    if body.len() > limit {
        let size = body.len();
        return Err(refuse(Reason::TooLarge { size, limit }));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        let offset = error.valid_up_to();
        refuse(Reason::NotUtf8 { offset })
    })?;
    let pass = Pass::default();
    pass.run(Scanner::new(text, limits.depth)).map_err(|reason| {
        let id = salvage_id(text);
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
}

impl Pass {
    fn run(mut self, mut scanner: Scanner<'_>) -> Result<(Kind, Members), Reason> {
        match scanner.peek() {
            Some(b'{') => {}
            Some(b'[') => return Err(Reason::Batch),
            _ => {
                scanner.skip()?;
                scanner.end()?;
                return Err(Reason::NotAnObject);
            }
        }
        scanner.object("the message", |scanner, name| match name {
            "jsonrpc" => self.jsonrpc(scanner),
            "id" => self.id(scanner),
            "method" => self.method(scanner),
            "params" => self.params(scanner),
            "result" => self.result(scanner),
            "error" => self.error(scanner),
            _ => scanner.skip().map(|_| ()),
        })?;
        scanner.end()?;
        Ok((self.kind()?, self.members))
    }

    fn jsonrpc(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        let value = scanner.skip()?;
        self.has_jsonrpc = scanner.slice(value) == r#""2.0""#;
        if self.has_jsonrpc { Ok(()) } else { Err(rpc(r#"the member "jsonrpc" must be "2.0""#)) }
    }

    fn id(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        let first = scanner.peek();
        self.members.id = scanner.id()?;
        self.has_null_id = first == Some(b'n');
        if self.members.id.is_some() || self.has_null_id {
            return Ok(());
        }
        Err(Reason::BadId {
            what: match first {
                Some(b'-' | b'0'..=b'9') => "write the number without fraction and exponent",
                _ => "send no other kind of value",
            },
        })
    }

    fn method(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        self.members.method = scanner.text()?;
        if self.members.method.is_some() { Ok(()) } else { Err(rpc(r#"the member "method" must be a string"#)) }
    }

    /// `null` passes as if it were absent, as most servers take it.
    fn params(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        match scanner.peek() {
            Some(b'{') => return self.members.params(scanner),
            Some(b'[') => {
                return Err(rpc(r#"the member "params" is an array: name the parameters in an object"#));
            }
            _ => {}
        }
        let value = scanner.skip()?;
        if scanner.slice(value) == "null" { Ok(()) } else { Err(rpc(r#"the member "params" must be an object"#)) }
    }

    fn result(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        self.has_result = true;
        if scanner.peek() == Some(b'{') {
            return self.members.result(scanner);
        }
        scanner.skip().map(|_| ())
    }

    fn error(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        self.has_error = true;
        let is_object = scanner.peek() == Some(b'{');
        scanner.skip()?;
        if is_object { Ok(()) } else { Err(rpc(r#"the member "error" must be an object"#)) }
    }

    /// What JSON-RPC 2.0 (sections 4 and 5) and MCP (2025-11-25, "Overview") make of the members.
    fn kind(&self) -> Result<Kind, Reason> {
        if !self.has_jsonrpc {
            return Err(rpc(r#"the member "jsonrpc" is missing: add "jsonrpc": "2.0""#));
        }
        let has_method = self.members.method.is_some();
        match (has_method, self.has_result, self.has_error) {
            (true, false, false) => self.call(),
            (false, true, false) => self.response(),
            (false, false, true) => Ok(Kind::ErrorResponse),
            (true, _, _) => Err(rpc(r#"a message with "method" can have neither "result" nor "error""#)),
            (false, true, true) => Err(rpc(r#"send "result" or "error", not both"#)),
            (false, false, false) => Err(rpc(r#"a message needs "method", "result" or "error""#)),
        }
    }

    fn call(&self) -> Result<Kind, Reason> {
        match (self.members.id, self.has_null_id) {
            (Some(_), _) => Ok(Kind::Request),
            (None, false) => Ok(Kind::Notification),
            (None, true) => Err(Reason::BadId { what: "send one in place of null, or leave it out of a notification" }),
        }
    }

    fn response(&self) -> Result<Kind, Reason> {
        match (self.members.id, self.has_null_id) {
            (Some(_), _) => Ok(Kind::Response),
            (None, false) => Err(rpc(r#"a response needs the "id" of its request"#)),
            (None, true) => Err(Reason::BadId { what: "send that of the request in place of null" }),
        }
    }
}

fn rpc(what: &'static str) -> Reason {
    Reason::NotJsonRpc { what }
}

/// Looks for the id of a refused message, which may stand behind what was refused; an id that occurs twice is none. Off
/// the hot path, so it costs a second pass, which stops where the text stops being JSON.
fn salvage_id(text: &str) -> Option<Box<str>> {
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    if scanner.peek() != Some(b'{') {
        return None;
    }
    let (mut id, mut times) = (None, 0);
    // Whatever ends this pass has been reported by the first one.
    _ = scanner.members(|scanner, _, name| {
        if name == "id" {
            times += 1;
            id = scanner.id()?.map(|span| scanner.slice(span).into());
        } else {
            scanner.skip()?;
        }
        Ok(())
    });
    id.filter(|_| times == 1)
}
