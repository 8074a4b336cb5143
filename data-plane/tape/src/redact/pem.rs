//! Private keys in PEM (RFC 7468), whole in one text. For those that come line by line see `stream`.

use memchr::memmem;

use super::bytes::{end_of, is_base64};

/// How a block begins.
pub(super) const BEGIN: &str = "-----BEGIN ";
/// How its last line begins.
pub(super) const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Longest label looked at, in bytes: the longest in use, `PGP PRIVATE KEY BLOCK`, has 21.
const LABEL_BYTES_MAX: usize = 64;

/// How far the end of a block is looked for, in bytes: a key of 16384 bits has 13 KiB, and a text of many beginnings
/// stays linear.
const BLOCK_BYTES_MAX: usize = 64 * 1024;

/// Base64 in a row that makes a block without an end a key that was cut off, and not a sentence about one.
pub(super) const BODY_RUN_MIN: usize = 16;

/// Where the first line of a private key that begins at `at` ends. Certificates and public keys are no secrets.
pub(super) fn end_of_begin(text: &[u8], at: usize) -> Option<usize> {
    let label = text[at..].strip_prefix(BEGIN.as_bytes())?;
    let label = &label[..label.len().min(LABEL_BYTES_MAX)];
    let length = memmem::find(label, DASHES.as_bytes())?;
    let private = memmem::find(&label[..length], b"PRIVATE KEY").is_some();
    private.then_some(at + BEGIN.len() + length + DASHES.len())
}

/// Where the block ends whose first line ends at `at`. One without an end marker reaches to the text's end if it looks
/// like a key; `None` says that this only speaks of one.
pub(super) fn end_of_block(text: &[u8], at: usize) -> Option<usize> {
    end_of_end(text, at).or_else(|| has_body(text, at).then_some(text.len()))
}

/// Where the first end marker at or behind `at` ends.
pub(super) fn end_of_end(text: &[u8], at: usize) -> Option<usize> {
    let near = &text[at..text.len().min(at + BLOCK_BYTES_MAX)];
    let start = at + memmem::find(near, END.as_bytes())? + END.len();
    let label = &text[start..text.len().min(start + LABEL_BYTES_MAX)];
    // A marker that is cut off in its label ends the block all the same.
    Some(match memmem::find(label, DASHES.as_bytes()) {
        Some(length) => start + length + DASHES.len(),
        None => start + label.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b' ').count(),
    })
}

/// Whether what follows a block's first line looks like a key: enough base64 in a row. Line ends may be escaped.
fn has_body(text: &[u8], at: usize) -> bool {
    let start = end_of(text, at, |byte| byte.is_ascii_whitespace() || byte == b'\\');
    // The `n` of an escaped line end is base64 too, which does no harm.
    end_of(text, start, is_base64) - start >= BODY_RUN_MIN
}
