//! How a call of the test client fails.

use std::error::Error;
use std::fmt;

use http::StatusCode;
use serde_json::Value;

/// A refusal, a JSON-RPC error, or a broken connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The HTTP status; absent where no answer came.
    pub status: Option<StatusCode>,
    /// The JSON-RPC code.
    pub code: Option<i64>,
    /// What was said.
    pub message: String,
    /// The JSON-RPC error's data.
    pub data: Value,
}

impl Failure {
    /// The connection broke.
    pub(super) fn broken(error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self { status: None, code: None, message, data: Value::Null }
    }

    /// The answer is no JSON-RPC message.
    pub(super) fn unreadable(status: StatusCode, body: &str) -> Self {
        Self { status: Some(status), code: None, message: body.to_owned(), data: Value::Null }
    }

    /// The `error` of a JSON-RPC message.
    pub(super) fn said(status: StatusCode, error: &Value) -> Self {
        let message = error["message"].as_str().unwrap_or_default().to_owned();
        Self { status: Some(status), code: error["code"].as_i64(), message, data: error["data"].clone() }
    }

    /// HTTP status and JSON-RPC code; 0 where absent.
    pub fn status_and_code(&self) -> (u16, i64) {
        (self.status.map_or(0, |status| status.as_u16()), self.code.unwrap_or_default())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, code) = self.status_and_code();
        write!(f, "HTTP {status}, code {code}: {} {}", self.message, self.data)
    }
}

impl Error for Failure {}
