//! A YAML or JSON document as a tree that knows where everything was written.
//!
//! Scalars are text: the schema says what each means, so that `value: 8080`, `value: "8080"` and `value: no` are all
//! the strings one sees. There are no anchors, aliases, tags, merges, or second documents: nothing that makes one place
//! of the file mean another, and nothing that grows.

use std::collections::HashSet;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::Environment;
use super::substitute::{Substitution, mask, unmask};
use crate::limits::{MAX_DEPTH, MAX_FILE_BYTES, MAX_NODES};
use crate::{Diagnostic, FieldPath, Position, Step};

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// An empty plain scalar, `null` or `~`.
    Nothing,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A field: its name, where the name is, and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_position: Position,
    pub(crate) value: Node,
}

impl Node {
    /// Where `path` leads, or where its nearest ancestor that exists is.
    pub(crate) fn position_of(&self, path: &FieldPath) -> Position {
        let mut here = self;
        for step in path.steps() {
            match here.child(step) {
                Some(child) => here = child,
                None => break,
            }
        }
        here.position
    }

    pub(crate) fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.content, step) {
            (Content::Map(entries), Step::Field(name)) => {
                entries.iter().find(|entry| entry.key == *name).map(|entry| &entry.value)
            }
            (Content::List(items), Step::Item(index)) => items.get(*index),
            _ => None,
        }
    }
}

/// Reads the one document in `text`. Variables that cannot be replaced go to `found`, and reading goes on.
pub(crate) fn read(text: &str, environment: Environment<'_>, found: &mut Vec<Diagnostic>) -> Result<Node, Diagnostic> {
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(Diagnostic::new(FieldPath::default(), format!("the text is longer than {MAX_FILE_BYTES} bytes")));
    }
    let Some(text) = mask(text.strip_prefix('\u{feff}').unwrap_or(text)) else {
        let message = "the text has characters from U+100000 to U+10007F";
        return Err(Diagnostic::new(FieldPath::default(), message).hint("they are for private use, and used here"));
    };
    let options = granit_parser::options! { emit_comments: false };
    Reader {
        events: Parser::new_from_str_with_options(&text, options),
        variables: Substitution::new(environment),
        path: Vec::new(),
        nodes: 0,
        found,
    }
    .document()
}

struct Reader<'t, 'e> {
    events: Parser<'t, StrInput<'t>>,
    variables: Substitution<'e>,
    path: Vec<Step>,
    nodes: usize,
    found: &'e mut Vec<Diagnostic>,
}

impl<'t> Reader<'t, '_> {
    fn document(mut self) -> Result<Node, Diagnostic> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(self
                        .error("a second document begins here", &span)
                        .hint("a file holds one configuration"));
                }
                Event::DocumentStart(..) => {
                    let first = self.next()?;
                    root = Some(self.node(first)?);
                }
                _ => break,
            }
        }
        match root {
            Some(Node { content: Content::Nothing, .. }) | None => {
                Err(Diagnostic::new(FieldPath::default(), "the file is empty")
                    .hint("a configuration has routes and upstreams"))
            }
            Some(root) => Ok(root),
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Diagnostic> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(why)) => Err(syntax(&why)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, (event, span): (Event<'t>, Span)) -> Result<Node, Diagnostic> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.error(format!("more than {MAX_NODES} values"), &span));
        }
        if self.path.len() > MAX_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_DEPTH} levels"), &span));
        }
        let content = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_indirection(anchor, tag.as_deref(), &span)?;
                self.scalar(&text, style, &span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_indirection(anchor, tag.as_deref(), &span)?;
                self.list()?
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_indirection(anchor, tag.as_deref(), &span)?;
                self.map()?
            }
            _ => return Err(self.indirection(&span)),
        };
        Ok(Node { position: position(&span.start), content })
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: &Span) -> Content {
        if style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Content::Nothing;
        }
        match self.variables.apply(text) {
            Ok(text) => Content::Text(text),
            Err(mistake) => {
                let diagnostic = self.error(mistake.message, span).hint(mistake.hint);
                self.found.push(diagnostic);
                Content::Text(unmask(text))
            }
        }
    }

    fn list(&mut self) -> Result<Content, Diagnostic> {
        let mut items = Vec::new();
        loop {
            let next = self.next()?;
            if next.0 == Event::SequenceEnd {
                return Ok(Content::List(items));
            }
            self.path.push(Step::Item(items.len()));
            items.push(self.node(next)?);
            self.path.pop();
        }
    }

    fn map(&mut self) -> Result<Content, Diagnostic> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Content::Map(entries)),
                Event::Scalar(key, _, 0, None) => unmask(&key),
                _ => return Err(self.error("the name of a field is plain text", &span)),
            };
            self.path.push(Step::Field(key.clone().into()));
            if !seen.insert(key.clone()) {
                return Err(self.error("the field is set twice", &span).hint("keep one of the two"));
            }
            let next = self.next()?;
            let value = self.node(next)?;
            self.path.pop();
            entries.push(Entry { key, key_position: position(&span.start), value });
        }
    }

    fn refuse_indirection(&self, anchor: usize, tag: Option<&Tag>, span: &Span) -> Result<(), Diagnostic> {
        if anchor == 0 && tag.is_none() { Ok(()) } else { Err(self.indirection(span)) }
    }

    fn indirection(&self, span: &Span) -> Diagnostic {
        self.error("anchors, aliases and tags are not part of a configuration", span)
            .hint("write the value where it is used")
    }

    fn error(&self, message: impl Into<String>, span: &Span) -> Diagnostic {
        Diagnostic::new(self.path.clone().into(), message).at(position(&span.start))
    }
}

fn syntax(why: &ScanError) -> Diagnostic {
    Diagnostic::new(FieldPath::default(), format!("not YAML: {}", why.info())).at(position(why.marker()))
}

fn position(marker: &Marker) -> Position {
    // The parser counts lines from 1 and columns from 0.
    Position { line: marker.line(), column: marker.col() + 1 }
}
