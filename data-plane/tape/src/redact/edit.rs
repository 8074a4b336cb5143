//! Edits: what is to be replaced in a text, in order and disjoint, and what is told about each.

use std::borrow::Cow;
use std::ops::Range;

use super::escape::{Places, escape};
use crate::record::Redacted;

/// One replacement.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) at: Range<usize>,
    /// What comes instead: a tag, with quotes where a value that is no string goes.
    pub(super) with: String,
    pub(super) note: Redacted<'static>,
}

/// The text with all replacements made.
pub(super) fn apply(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let longer: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut out = Vec::with_capacity(text.len() + longer);
    let mut at = 0;
    for edit in edits {
        out.extend_from_slice(&text[at..edit.at.start]);
        out.extend_from_slice(edit.with.as_bytes());
        at = edit.at.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// Turns edits of a string's text into edits of what holds the string; its raw inside begins at `start`.
pub(super) fn lift(edits: &mut [Edit], raw: &[u8], start: usize) {
    let mut places = Places::new(raw);
    for edit in edits {
        let at = places.raw_range(&edit.at);
        edit.at = start + at.start..start + at.end;
        if edit.with.contains(['"', '\\']) {
            edit.with = escape(&edit.with);
        }
    }
}

/// Both lists as one. Where two edits meet, the one that begins first takes in the other.
pub(super) fn merge(mut all: Vec<Edit>, more: Vec<Edit>) -> Vec<Edit> {
    all.extend(more);
    all.sort_by_key(|edit| (edit.at.start, std::cmp::Reverse(edit.at.end)));
    let mut merged: Vec<Edit> = Vec::with_capacity(all.len());
    for edit in all {
        match merged.last_mut() {
            Some(last) if edit.at.start < last.at.end => last.at.end = last.at.end.max(edit.at.end),
            _ => merged.push(edit),
        }
    }
    merged
}

/// Says of all edits that they happened there.
pub(super) fn point(edits: &mut [Edit], pointer: &str) {
    for edit in edits {
        edit.note.ptr = Cow::Owned(pointer.to_owned());
    }
}
