//! The validating pass: every byte is checked against the grammar of RFC 8259, nothing is built.
//!
//! Invariants: `at` never moves backwards; nesting costs one bit of `objects` and no stack frame, so no input can
//! overflow the stack; a span always lies between two ASCII bytes of text that is valid UTF-8.
//!
//! Not here: what members mean (`envelope`), and duplicate names inside values that are only skipped. Those are the
//! server's to read, and nothing is decided on them.

use std::borrow::Cow;

use super::text::unescape;
use crate::Reason;

/// The deepest nesting that any limit may allow: one bit of [`Scanner::objects`] per level. Also what common parsers
/// (`serde_json`) stop at, so nothing deeper would be read behind the gateway.
pub(crate) const MAX_DEPTH: u16 = 128;

/// A part of the message, as byte offsets. Messages are smaller than 4 GiB: `envelope` refuses larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The value of a JSON string: a part of the message, or its own text where it had escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    Plain(Span),
    Unescaped(Box<str>),
}

/// The inside of a string.
pub(super) struct RawString {
    pub(super) span: Span,
    pub(super) escaped: bool,
}

/// What holds values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Object,
    Array,
}

/// One pass over one message.
pub(crate) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// Containers open now.
    depth: u16,
    max_depth: u16,
    /// One bit per open container, the innermost lowest; set for an object.
    objects: u128,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, max_depth: u16) -> Self {
        Self { text, at: 0, depth: 0, max_depth: max_depth.min(MAX_DEPTH), objects: 0 }
    }

    /// The first byte of what comes next, white space aside.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.skip_whitespace();
        self.byte()
    }

    /// Checks that nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), Reason> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("something follows the end of the message")),
        }
    }

    /// Reads any value without looking at what it means.
    pub(crate) fn skip(&mut self) -> Result<Span, Reason> {
        self.skip_whitespace();
        let start = self.at;
        let floor = self.depth;
        loop {
            match self.byte() {
                Some(b'{') => {
                    self.open(Container::Object)?;
                    if self.peek() != Some(b'}') {
                        self.raw_name()?;
                        continue;
                    }
                    self.close();
                }
                Some(b'[') => {
                    self.open(Container::Array)?;
                    if self.peek() != Some(b']') {
                        continue;
                    }
                    self.close();
                }
                _ => self.scalar()?,
            }
            if !self.next_value(floor)? {
                return Ok(self.span_from(start));
            }
        }
    }

    /// Reads a string; any other value is skipped and is `None`.
    pub(crate) fn text(&mut self) -> Result<Option<Text>, Reason> {
        if self.peek() != Some(b'"') {
            self.skip()?;
            return Ok(None);
        }
        let raw = self.string()?;
        Ok(Some(match self.unescaped(&raw)? {
            Cow::Borrowed(_) => Text::Plain(raw.span),
            Cow::Owned(text) => Text::Unescaped(text.into()),
        }))
    }

    /// Reads a string or an integer, as ids and progress tokens are; any other value is skipped and is `None`.
    pub(crate) fn id(&mut self) -> Result<Option<Span>, Reason> {
        match self.peek() {
            Some(b'"') => {
                let start = self.at;
                let raw = self.string()?;
                self.unescaped(&raw)?;
                Ok(Some(self.span_from(start)))
            }
            Some(b'-' | b'0'..=b'9') => {
                let span = self.skip()?;
                let integer = !self.text[span.range()].contains(['.', 'e', 'E']);
                Ok(integer.then_some(span))
            }
            _ => self.skip().map(|_| None),
        }
    }

    /// The text of a span.
    pub(crate) fn slice(&self, span: Span) -> &'a str {
        &self.text[span.range()]
    }

    /// Behind a value: goes to the next value of the containers opened since `floor`; false once all are closed.
    fn next_value(&mut self, floor: u16) -> Result<bool, Reason> {
        while self.depth > floor {
            match (self.innermost(), self.peek()) {
                (Container::Object, Some(b'}')) | (Container::Array, Some(b']')) => self.close(),
                (Container::Object, Some(b',')) => {
                    self.at += 1;
                    self.skip_whitespace();
                    self.raw_name()?;
                    return Ok(true);
                }
                (Container::Array, Some(b',')) => {
                    self.at += 1;
                    self.skip_whitespace();
                    return Ok(true);
                }
                (Container::Object, _) => return Err(self.fault("expected a comma or the end of the object")),
                (Container::Array, _) => return Err(self.fault("expected a comma or the end of the array")),
            }
        }
        Ok(false)
    }

    /// Reads a member's name and its colon, and stops at the value.
    pub(super) fn raw_name(&mut self) -> Result<RawString, Reason> {
        if self.byte() != Some(b'"') {
            return Err(self.fault("expected a member name in double quotes"));
        }
        let raw = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.fault("expected a colon after the member name"));
        }
        self.at += 1;
        self.skip_whitespace();
        Ok(raw)
    }

    /// The text of a string that the gateway must understand.
    pub(super) fn unescaped(&self, raw: &RawString) -> Result<Cow<'a, str>, Reason> {
        let text = self.slice(raw.span);
        if !raw.escaped {
            return Ok(Cow::Borrowed(text));
        }
        unescape(text).map(Cow::Owned).ok_or(Reason::NotJson {
            offset: raw.span.range().start,
            what: "half of a surrogate pair stands alone in a string the gateway must read",
        })
    }

    /// Enters the container whose bracket comes next.
    pub(super) fn open(&mut self, container: Container) -> Result<(), Reason> {
        if self.depth >= self.max_depth {
            return Err(Reason::TooDeep { limit: self.max_depth, offset: self.at });
        }
        self.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(container == Container::Object);
        Ok(())
    }

    fn innermost(&self) -> Container {
        if self.objects & 1 == 1 { Container::Object } else { Container::Array }
    }

    /// Leaves the innermost container, whose bracket comes next.
    pub(super) fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
        self.objects >>= 1;
    }

    pub(super) fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    fn span_from(&self, start: usize) -> Span {
        span(start, self.at)
    }

    pub(super) fn fault(&self, what: &'static str) -> Reason {
        Reason::NotJson { offset: self.at, what }
    }
}

/// `as` loses nothing: offsets are below 4 GiB.
pub(super) fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}
