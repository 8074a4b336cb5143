//! One pass over JSON text, without a tree: what stands where, and what of it is to be replaced.
//!
//! Nothing is refused. Where the text stops being JSON, or nests deeper than [`DEPTH_MAX`], the pass ends; what was found
//! so far stands, what a name demanded there goes up to the text's end, and the whole is searched again as plain text.
//! Strings that hold JSON themselves are walked the same way, [`LEVELS_MAX`] deep.

use std::borrow::Cow;
use std::ops::Range;

use super::Redactor;
use super::bytes::end_of;
use super::demand::{Demand, SCHEMAS, is_schema_word};
use super::edit::{Edit, apply, lift, point};
use super::escape::unescape;
use super::frame::{Container, Frame, pointer};
use super::paths::Selection;

/// Deepest nesting that is followed: what the gateway lets pass at most, so deeper text is no message.
pub(super) const DEPTH_MAX: usize = 128;

/// How many levels of JSON in strings in JSON are read as JSON; further in, a string is plain text.
pub(super) const LEVELS_MAX: u8 = 4;

/// The text is no JSON from here on.
struct Fault;

/// What comes next.
enum Next {
    Value,
    Name,
    /// A value has ended.
    After,
}

/// One pass over one text.
pub(super) struct Walk<'a> {
    redactor: &'a Redactor,
    text: &'a [u8],
    at: usize,
    /// Containers that are open, the innermost last; never more than [`DEPTH_MAX`].
    frames: Vec<Frame<'a>>,
    /// Of the value that comes next.
    demand: Demand,
    selection: Option<&'a Selection>,
    level: u8,
    edits: Vec<Edit>,
}

/// What a pass found.
pub(super) struct Walked {
    pub(super) edits: Vec<Edit>,
    /// Whether all of it was JSON.
    pub(super) whole: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(redactor: &'a Redactor, text: &'a [u8], level: u8, selection: Option<&'a Selection>) -> Self {
        let selected = selection.is_some_and(|selection| selection.selects(Some(0)));
        let demand = if selected { Demand::Path } else { Demand::None };
        Self { redactor, text, at: 0, frames: Vec::new(), demand, selection, level, edits: Vec::new() }
    }

    pub(super) fn run(mut self) -> Walked {
        let whole = self.values().is_ok();
        if !whole && self.demand != Demand::None && self.at < self.text.len() {
            self.blot_raw(self.at..self.text.len(), self.demand);
        }
        Walked { edits: self.edits, whole }
    }

    /// Reads values one behind the other to the end: a stream of them, as servers print it, is read like one.
    fn values(&mut self) -> Result<(), Fault> {
        let mut next = Next::Value;
        loop {
            self.skip_whitespace();
            if self.frames.is_empty() && self.at == self.text.len() {
                return Ok(());
            }
            next = match next {
                Next::Value => self.value()?,
                Next::Name => self.name()?,
                Next::After => self.after()?,
            };
        }
    }

    fn value(&mut self) -> Result<Next, Fault> {
        match self.byte() {
            Some(b'{') => self.open(Container::Object),
            Some(b'[') => self.open(Container::Array),
            Some(b'"') => self.string_value(),
            _ => self.scalar(),
        }
    }

    fn open(&mut self, container: Container) -> Result<Next, Fault> {
        if self.frames.len() == DEPTH_MAX {
            return Err(Fault);
        }
        let parent = self.frames.last();
        let schema =
            parent.is_some_and(|frame| frame.schema || SCHEMAS.iter().any(|name| name.as_bytes() == &*frame.name));
        let node = match parent {
            None => self.selection.map(|_| 0),
            Some(frame) => frame.value_node,
        };
        self.at += 1;
        self.demand = self.demand.below();
        let mut frame = Frame::new(container, self.demand, node);
        frame.schema = schema;
        self.frames.push(frame);
        self.skip_whitespace();
        match (container, self.byte()) {
            (Container::Object, Some(b'}')) | (Container::Array, Some(b']')) => self.close(),
            (Container::Object, _) => Ok(Next::Name),
            (Container::Array, _) => {
                self.begin_element();
                Ok(Next::Value)
            }
        }
    }

    fn close(&mut self) -> Result<Next, Fault> {
        self.at += 1;
        self.frames.pop();
        self.demand = Demand::None;
        Ok(Next::After)
    }

    fn after(&mut self) -> Result<Next, Fault> {
        let Some(frame) = self.frames.last_mut() else { return Ok(Next::Value) };
        match (frame.container, self.text.get(self.at)) {
            (Container::Object, Some(b'}')) | (Container::Array, Some(b']')) => self.close(),
            (Container::Object, Some(b',')) => {
                self.demand = frame.demand;
                self.at += 1;
                Ok(Next::Name)
            }
            (Container::Array, Some(b',')) => {
                frame.index += 1;
                self.at += 1;
                self.begin_element();
                Ok(Next::Value)
            }
            _ => Err(Fault),
        }
    }

    /// Decides on the element that comes next.
    fn begin_element(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        // `["--token", "…"]`: what follows a flag is its value.
        let flagged = std::mem::take(&mut frame.hint);
        let hinted = if flagged { Demand::Strings } else { Demand::None };
        let selected = frame.enter_element(self.selection);
        self.demand = frame.demand.or(hinted).or(selected);
    }

    /// Reads a name and its colon, and decides on the value that comes next.
    fn name(&mut self) -> Result<Next, Fault> {
        let inside = self.string()?;
        let raw = &self.text[inside.clone()];
        let name = unescape(raw);
        self.skip_whitespace();
        if self.byte() != Some(b':') {
            self.at = inside.start;
            return Err(Fault);
        }
        self.at += 1;
        let suspect = self.redactor.search.finder.find(&name, 0).is_some();
        let mut edits = if suspect { self.redactor.plain(&name) } else { Vec::new() };
        // What a secret in a name says by chance is nobody's name.
        let shown = if edits.is_empty() { name.clone() } else { Cow::Owned(apply(&name, &edits)) };
        let demand = if suspect { self.demand_of(&shown) } else { self.demand_beside(&name) };
        let Some(frame) = self.frames.last_mut() else { return Err(Fault) };
        let selected = frame.enter_member(self.selection, &name);
        self.demand = frame.demand.or(demand).or(selected);
        frame.name = shown;
        if !edits.is_empty() {
            lift(&mut edits, raw, inside.start);
            point(&mut edits, &pointer(&self.frames));
            self.edits.append(&mut edits);
        }
        Ok(Next::Value)
    }

    /// What a name asks of its value, where it is no member of JSON-RPC's own.
    fn demand_of(&self, name: &[u8]) -> Demand {
        let own = match self.frames.as_slice() {
            [_] if self.level == 0 => matches!(name, b"id" | b"method" | b"jsonrpc"),
            [top, _] if self.level == 0 => &*top.name == b"params" && name == b"name",
            _ => false,
        };
        if own { Demand::None } else { Demand::of(self.redactor.search.grade(name)) }
    }

    /// What the member before asks of this one, as in `{"name": "API_KEY", "value": "…"}`.
    fn demand_beside(&self, name: &[u8]) -> Demand {
        let paired = name == b"value" && self.frames.last().is_some_and(|frame| frame.hint);
        if paired { Demand::Strings } else { Demand::None }
    }

    fn string_value(&mut self) -> Result<Next, Fault> {
        let inside = self.string()?;
        let raw = &self.text[inside.clone()];
        let value = unescape(raw);
        let demand = self.demand_on_scalar();
        if demand == Demand::None {
            let mut edits = self.redactor.nested(&value, self.level + 1);
            if !edits.is_empty() {
                lift(&mut edits, raw, inside.start);
                point(&mut edits, &pointer(&self.frames));
                self.edits.append(&mut edits);
            }
        } else if !value.is_empty() {
            self.blot(inside, &value, demand);
        }
        self.note_hint(&value);
        Ok(Next::After)
    }

    /// Reads `true`, `false`, `null` or a number.
    fn scalar(&mut self) -> Result<Next, Fault> {
        let start = self.at;
        let end = end_of(self.text, start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.'));
        let goes = match &self.text[start..end] {
            b"null" => false,
            b"true" | b"false" => self.demand == Demand::Path,
            [b'-' | b'0'..=b'9', rest @ ..] if rest.iter().all(|byte| b"0123456789.eE+-".contains(byte)) => {
                matches!(self.demand, Demand::Scalars | Demand::Path)
            }
            _ => return Err(Fault),
        };
        self.at = end;
        if goes {
            self.blot_raw(start..end, self.demand);
            if let Some(edit) = self.edits.last_mut() {
                edit.with = format!("\"{}\"", edit.with);
            }
        }
        Ok(Next::After)
    }

    /// The demand on a string, which a schema's own words escape.
    fn demand_on_scalar(&self) -> Demand {
        let word = self.frames.iter().rev().find(|frame| frame.container == Container::Object);
        let open =
            self.demand == Demand::Strings && word.is_some_and(|frame| frame.schema && is_schema_word(&frame.name));
        if open { Demand::None } else { self.demand }
    }

    /// Remembers what a string says about the value that comes after it.
    fn note_hint(&mut self, value: &[u8]) {
        let Some(frame) = self.frames.last_mut() else { return };
        let names = match frame.container {
            Container::Array => value.first() == Some(&b'-'),
            Container::Object => matches!(&*frame.name, b"name" | b"key" | b"header"),
        };
        if names {
            let dashes = end_of(value, 0, |byte| byte == b'-');
            frame.hint = self.redactor.search.grade(&value[dashes..]).is_some();
        }
    }

    /// Blots out a string; `inside` is where its raw text stands.
    fn blot(&mut self, inside: Range<usize>, value: &[u8], demand: Demand) {
        let Some((at, with, note)) = self.redactor.blot(value, demand.rule()) else { return };
        let mut edit = [Edit { at, with, note }];
        lift(&mut edit, &self.text[inside.clone()], inside.start);
        point(&mut edit, &pointer(&self.frames));
        self.edits.extend(edit);
    }

    /// Blots out what is no string: a number, or the rest of what is no JSON.
    fn blot_raw(&mut self, at: Range<usize>, demand: Demand) {
        let Some((part, with, mut note)) = self.redactor.blot(&self.text[at.clone()], demand.rule()) else { return };
        note.ptr = Cow::Owned(pointer(&self.frames));
        self.edits.push(Edit { at: at.start + part.start..at.start + part.end, with, note });
    }

    /// Reads a string, and leaves its inside.
    fn string(&mut self) -> Result<Range<usize>, Fault> {
        if self.byte() != Some(b'"') {
            return Err(Fault);
        }
        let start = self.at + 1;
        let mut at = start;
        while let Some(found) = self.text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
            at += found;
            if self.text[at] == b'"' {
                self.at = at + 1;
                return Ok(start..at);
            }
            at += 2;
        }
        Err(Fault)
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }
}
