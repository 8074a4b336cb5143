//! A YAML or JSON document as a tree that knows where everything was written.
//!
//! Scalars are text: the schema says what each means, so that `value: 8080`, `value: "8080"` and `value: no` are all
//! the strings one sees. There are no anchors, aliases, tags or merges: nothing that makes one place of the file mean
//! another, and nothing that grows.

use std::borrow::Cow;
use std::collections::HashSet;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::Environment;
use super::substitute::{MASK_IN_TEXT, MASK_IN_TEXT_HINT, Substitution, mask, unmask};
use crate::diagnostics::ToldAt;
use crate::limits::{MAX_DEPTH, MAX_DOCUMENTS, MAX_FILE_BYTES, MAX_NODES};
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

    /// Where a mistake at `path` is told: at the value there, or at its name.
    pub(crate) fn position_told(&self, path: &FieldPath, told_at: ToldAt) -> Position {
        if let (ToldAt::Name, Some((Step::Field(name), above))) = (told_at, path.steps().split_last())
            && let Some(Content::Map(entries)) = self.descend(above).map(|node| &node.content)
            && let Some(entry) = entries.iter().find(|entry| entry.key == *name)
        {
            return entry.key_position;
        }
        self.position_of(path)
    }

    /// What is exactly there.
    fn descend(&self, steps: &[Step]) -> Option<&Self> {
        steps.iter().try_fold(self, |here, step| here.child(step))
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

/// What all that is read at once may bring in together.
pub(crate) struct Reading<'e> {
    variables: Substitution<'e>,
    nodes: usize,
    documents: usize,
}

impl<'e> Reading<'e> {
    pub(crate) fn new(environment: Environment<'e>) -> Self {
        Self { variables: Substitution::new(environment), nodes: 0, documents: 0 }
    }
}

/// Reads the one document in `text`. Variables that cannot be replaced go to `found`, and reading goes on.
pub(crate) fn read(text: &str, environment: Environment<'_>, found: &mut Vec<Diagnostic>) -> Result<Node, Diagnostic> {
    let text = prepare(text)?;
    let mut reading = Reading::new(environment);
    let mut reader = Reader::new(&text, &mut reading, found);
    let root = match reader.start()? {
        Some(_) => Some(reader.root()?),
        None => None,
    };
    if let Some(second) = reader.start()? {
        return Err(reader.error("a second document begins here", &second).hint("a file holds one configuration"));
    }
    root.filter(is_something).ok_or_else(empty)
}

/// One of several documents, and what is wrong with its variables.
pub(crate) struct Document {
    pub(crate) root: Node,
    pub(crate) found: Vec<Diagnostic>,
}

/// Reads every document in `text` that says something, and tells what is wrong with the first that cannot be read;
/// there is at least one of the two.
pub(crate) fn read_all(text: &str, reading: &mut Reading<'_>) -> (Vec<Document>, Vec<Diagnostic>) {
    let mut documents = Vec::new();
    let mut found = Vec::new();
    let ended = prepare(text).and_then(|text| {
        let mut reader = Reader::new(&text, reading, &mut found);
        while let Some(start) = reader.start()? {
            reader.reading.documents += 1;
            if reader.reading.documents > MAX_DOCUMENTS {
                return Err(reader.error(format!("more than {MAX_DOCUMENTS} documents"), &start));
            }
            let root = reader.root()?;
            let found = std::mem::take(reader.found);
            documents.extend(is_something(&root).then_some(Document { root, found }));
        }
        if documents.is_empty() { Err(empty()) } else { Ok(()) }
    });
    found.extend(ended.err());
    (documents, found)
}

fn is_something(root: &Node) -> bool {
    !matches!(root.content, Content::Nothing)
}

fn empty() -> Diagnostic {
    Diagnostic::new(FieldPath::default(), "the file is empty").hint("a configuration has routes and upstreams")
}

/// The text as the parser takes it.
fn prepare(text: &str) -> Result<Cow<'_, str>, Diagnostic> {
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(Diagnostic::new(FieldPath::default(), format!("the text is longer than {MAX_FILE_BYTES} bytes")));
    }
    mask(text.strip_prefix('\u{feff}').unwrap_or(text))
        .ok_or_else(|| Diagnostic::new(FieldPath::default(), MASK_IN_TEXT).hint(MASK_IN_TEXT_HINT))
}

struct Reader<'t, 'r, 'e> {
    events: Parser<'t, StrInput<'t>>,
    reading: &'r mut Reading<'e>,
    path: Vec<Step>,
    found: &'r mut Vec<Diagnostic>,
}

impl<'t, 'r, 'e> Reader<'t, 'r, 'e> {
    fn new(text: &'t str, reading: &'r mut Reading<'e>, found: &'r mut Vec<Diagnostic>) -> Self {
        let options = granit_parser::options! { emit_comments: false };
        let events = Parser::new_from_str_with_options(text, options);
        Self { events, reading, path: Vec::new(), found }
    }

    /// Goes on to the next document; `None` after the last.
    fn start(&mut self) -> Result<Option<Span>, Diagnostic> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentEnd, _) => {}
                (Event::DocumentStart(..), span) => return Ok(Some(span)),
                _ => return Ok(None),
            }
        }
    }

    /// The content of the document that has been started.
    fn root(&mut self) -> Result<Node, Diagnostic> {
        let first = self.next()?;
        self.node(first)
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Diagnostic> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(why)) => Err(syntax(&why)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, (event, span): (Event<'t>, Span)) -> Result<Node, Diagnostic> {
        self.reading.nodes += 1;
        if self.reading.nodes > MAX_NODES {
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
        match self.reading.variables.apply(text) {
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
