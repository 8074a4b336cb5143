//! The members a gateway acts on, and where to look for them.

use crate::Reason;
use crate::json::{Scanner, Span, Text};

/// The key that makes a request modern (2026-07-28, "Overview", `_meta`).
const META_PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// What was found, wherever it stood. A value of another type than the one that means something is as good as absent: it
/// is the server's to refuse.
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
    /// `params._meta.progressToken`.
    pub(super) meta_token: Option<Span>,
    /// `params.progressToken`, which means something in `notifications/progress` alone.
    pub(super) params_token: Option<Span>,
    /// `params.requestId`, which means something in `notifications/cancelled` alone.
    pub(super) params_request: Option<Span>,
    pub(super) is_error_result: bool,
}

impl Members {
    /// Reads the object `params`.
    pub(super) fn params(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        scanner.object("params", |scanner, name| {
            match name {
                "name" => self.name = scanner.text()?,
                "uri" => self.uri = scanner.text()?,
                "taskId" => self.task_id = scanner.text()?,
                "protocolVersion" => self.protocol_version = scanner.text()?,
                "capabilities" => self.capabilities = Some(scanner.skip()?),
                "progressToken" => self.params_token = scanner.id()?,
                "requestId" => self.params_request = scanner.id()?,
                "_meta" if scanner.peek() == Some(b'{') => self.meta(scanner)?,
                _ => _ = scanner.skip()?,
            }
            Ok(())
        })
    }

    fn meta(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        scanner.object("params._meta", |scanner, name| {
            match name {
                META_PROTOCOL_VERSION => self.meta_protocol_version = scanner.text()?,
                "progressToken" => self.meta_token = scanner.id()?,
                _ => _ = scanner.skip()?,
            }
            Ok(())
        })
    }

    /// Reads the object `result`.
    pub(super) fn result(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Reason> {
        scanner.object("result", |scanner, name| {
            match name {
                "protocolVersion" => self.protocol_version = scanner.text()?,
                "capabilities" => self.capabilities = Some(scanner.skip()?),
                "isError" => {
                    let value = scanner.skip()?;
                    self.is_error_result = scanner.slice(value) == "true";
                }
                _ => _ = scanner.skip()?,
            }
            Ok(())
        })
    }
}
