//! The message of a record, and in which form it goes into a line.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;
use serde_json::value::RawValue;

use crate::record::Record;

/// A message that is to be recorded: as JSON text where it can stand in a line byte for byte, else as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a>(Form<'a>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form<'a> {
    Json(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Looks which of the two it is, by reading it as JSON.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(_) => Self::of_json(bytes),
            Err(_) => Self::bytes(bytes),
        }
    }

    /// The same for bytes that somebody has read as JSON already: nothing is parsed again.
    ///
    /// If they are no JSON after all, the record cannot be read back.
    #[must_use]
    pub fn of_json(bytes: &'a [u8]) -> Self {
        // White space around JSON is no part of it and would not come back.
        let stands_alone = |byte: Option<&u8>| byte.is_some_and(|byte| !byte.is_ascii_whitespace());
        if !stands_alone(bytes.first()) || !stands_alone(bytes.last()) || memchr(b'\n', bytes).is_some() {
            return Self::bytes(bytes);
        }
        std::str::from_utf8(bytes).map_or(Self::bytes(bytes), |text| Self(Form::Json(text)))
    }

    /// A message that goes in as base64, whatever it is.
    #[must_use]
    pub const fn bytes(bytes: &'a [u8]) -> Self {
        Self(Form::Bytes(bytes))
    }

    /// The message, byte for byte.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self.0 {
            Form::Json(text) => text.as_bytes(),
            Form::Bytes(bytes) => bytes,
        }
    }

    /// The message, if it can stand in a line as it is.
    #[must_use]
    pub const fn as_json(&self) -> Option<&'a str> {
        match self.0 {
            Form::Json(text) => Some(text),
            Form::Bytes(_) => None,
        }
    }
}

/// A `b64` member that is no base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record {seq} says `b64`, and that is no base64: {what}")]
pub struct NotBase64 {
    /// The record.
    pub seq: u64,
    /// What is wrong, with the offset.
    pub what: String,
}

/// The message that stands in a record, byte for byte; `None` for a record without one, and for one that is kept apart.
///
/// # Errors
/// [`NotBase64`], which no writer of this project brings about.
pub fn message<'a>(record: &Record<'a>) -> Result<Option<Cow<'a, [u8]>>, NotBase64> {
    if let Some(body) = record.body {
        return Ok(Some(Cow::Borrowed(body.get().as_bytes())));
    }
    let Some(base64) = &record.b64 else { return Ok(None) };
    match STANDARD.decode(base64.as_bytes()) {
        Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
        Err(error) => Err(NotBase64 { seq: record.seq, what: error.to_string() }),
    }
}
