//! A record as a line: written with its checksum, and read back only if the checksum holds.
//!
//! Invariants:
//! - What [`encode`] writes is one line, whatever the record holds: a message that has a line feed goes in as base64.
//! - What [`decode`] returns is what was written: any changed, missing or added byte is an error.
//! - Reading copies nothing that stands in the line as it is.
//!
//! Not here: which message is kept apart as a blob (the [`spool`](crate::spool) decides), and damage over several lines
//! ([`Scan`](crate::segment::Scan)).

mod message;
#[cfg(test)]
pub(crate) mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr, memchr_iter};

pub use self::message::{Message, NotBase64, message};
use crate::record::Record;

/// Bytes one line has at most, line feed included. A message above 64 KiB is kept apart and one below takes at most 88
/// KiB in base64; the rest is for the text of `life` and `stderr` records. A reader never holds more of a line than
/// this.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What stands between the members that are summed and the eight digits of the sum.
const BEFORE_SUM: &[u8] = br#","c":""#;

/// What stands after the sum.
const AFTER_SUM: &[u8] = br#""}"#;

/// Hexadecimal digits of a CRC-32C.
const SUM_DIGITS: usize = 8;

/// Bytes of a line from `,"c":` to its closing brace.
const SEAL_BYTES: usize = BEFORE_SUM.len() + SUM_DIGITS + AFTER_SUM.len();

/// Why a line is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is longer than any line that this build writes.
    #[error("the line has {bytes} bytes, and a line has at most {LINE_BYTES_MAX}")]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
    /// It does not end as a line does: it was cut, or never was one.
    #[error("the line does not end with a checksum")]
    NoChecksum,
    /// It is not what was written.
    #[error("the checksum is {stated:08x}, and the line sums to {computed:08x}")]
    Checksum {
        /// What the line says.
        stated: u32,
        /// What its bytes sum to.
        computed: u32,
    },
    /// The checksum holds, but it was made of something that is no text.
    #[error("the line is not UTF-8 from byte {at}")]
    NotUtf8 {
        /// Bytes before the first wrong one.
        at: usize,
    },
    /// The checksum holds, but this build cannot read the record.
    #[error("the line is no record: {what}")]
    NotRecord {
        /// What is wrong, with the column.
        what: String,
    },
}

/// Appends a record as one line.
///
/// A `body` with a line feed in it goes in as `b64`.
pub fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    match record.body.map(|body| body.get().as_bytes()) {
        Some(body) if memchr(b'\n', body).is_some() => encode_message(record, Message::bytes(body), out),
        _ => {
            let start = out.len();
            write_members(record, out);
            seal(start, out);
        }
    }
}

/// Appends a record and its message as one line. The message takes the place of a `body` or `b64` that the record has.
pub fn encode_message(record: &Record<'_>, message: Message<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    if record.body.is_some() || record.b64.is_some() {
        write_members(&Record { body: None, b64: None, ..record.clone() }, out);
    } else {
        write_members(record, out);
    }
    match message.as_json() {
        Some(json) => {
            out.extend_from_slice(br#","body":"#);
            out.extend_from_slice(json.as_bytes());
        }
        None => write_base64(message.as_bytes(), out),
    }
    seal(start, out);
}

/// Reads one line, with or without its line feed.
///
/// # Errors
/// [`LineError`] says what is wrong with it. [`LineError::NotRecord`] alone means that it is as it was written.
pub fn decode(line: &[u8]) -> Result<Record<'_>, LineError> {
    read(line)
}

/// Any sealed line as the type that it was made of.
pub(crate) fn read<'a, T: serde::Deserialize<'a>>(line: &'a [u8]) -> Result<T, LineError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    if line.len() >= LINE_BYTES_MAX {
        return Err(LineError::TooLong { bytes: line.len() });
    }
    let (members, stated) = unsealed(line).ok_or(LineError::NoChecksum)?;
    let computed = crc32c::crc32c(members);
    if stated != computed {
        return Err(LineError::Checksum { stated, computed });
    }
    let text = std::str::from_utf8(line).map_err(|error| LineError::NotUtf8 { at: error.valid_up_to() })?;
    serde_json::from_str(text).map_err(|error| LineError::NotRecord { what: error.to_string() })
}

/// Ends the object that begins at `start`, and whose closing brace is not written yet, with its checksum and a line
/// feed.
pub(crate) fn seal(start: usize, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let sum = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(BEFORE_SUM);
    out.extend(
        sum.to_be_bytes().iter().flat_map(|byte| [byte >> 4, byte & 0xf]).map(|nibble| DIGITS[usize::from(nibble)]),
    );
    out.extend_from_slice(AFTER_SUM);
    out.push(b'\n');
}

/// The members of an object, without its closing brace.
pub(crate) fn write_members<T: serde::Serialize>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    serde_json::to_writer(&mut *out, value).expect("every key is text, and a vector takes every byte");
    out.pop();
    // Outside of strings, where JSON has no line feed, one is as good as a space. Only an id can bring one.
    for at in memchr_iter(b'\n', &out[start..]).collect::<Vec<_>>() {
        out[start + at] = b' ';
    }
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#","b64":""#);
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("base64 has four digits for three bytes");
    out.push(b'"');
}

/// The members and the sum that a line states for them. Capital digits are no digits: they were not written so.
fn unsealed(line: &[u8]) -> Option<(&[u8], u32)> {
    let (members, seal) = line.split_at_checked(line.len().checked_sub(SEAL_BYTES)?)?;
    let digits = seal.strip_prefix(BEFORE_SUM)?.strip_suffix(AFTER_SUM)?;
    let sum = digits.iter().try_fold(0_u32, |sum, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((sum << 4) | u32::from(value))
    });
    Some((members, sum?))
}
