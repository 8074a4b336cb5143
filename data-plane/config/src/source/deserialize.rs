//! Fills serde types, here the raw messages, from a document, and says where the first value is that does not fit.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::document::{Content, Entry, Node};
use crate::suggest::did_you_mean;
use crate::{Diagnostic, Position, Step};

/// Values that do not fit and are told of one document: each costs another reading, and whoever has so many has another schema in
/// mind.
const MISFITS_MAX: usize = 50;

/// Fills a message from a document. What does not fit is told and taken out of `tree`, so that what else does not fit is told as
/// well.
///
/// # Errors
/// Every value that does not fit, up to [`MISFITS_MAX`] of them.
pub(crate) fn fill<T: DeserializeOwned>(tree: &mut Node) -> Result<T, Vec<Diagnostic>> {
    let mut found: Vec<Diagnostic> = Vec::new();
    loop {
        let misfit = match T::deserialize(&*tree) {
            Ok(message) if found.is_empty() => return Ok(message),
            Ok(_) => return Err(found),
            Err(misfit) => misfit.into_diagnostic(tree.position),
        };
        let told = found.iter().any(|known| known.path == misfit.path);
        // An empty item may not fit either: then the list that it is in goes.
        let steps = misfit.path.steps();
        let gone = tree.take_out(&steps[..steps.len() - usize::from(told && !steps.is_empty())]);
        if !told {
            found.push(misfit);
        }
        if !gone || found.len() == MISFITS_MAX {
            return Err(found);
        }
    }
}

/// A value that does not fit the schema. It learns where it is on its way out of the tree.
#[derive(Debug)]
pub(crate) struct Misfit {
    message: String,
    hint: Option<String>,
    position: Option<Position>,
    /// Innermost first.
    steps: Vec<Step>,
}

impl Misfit {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, position: None, steps: Vec::new() }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn at(mut self, position: Position) -> Self {
        self.position.get_or_insert(position);
        self
    }

    fn below(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The diagnostic; what never met a field is about the top of the document.
    pub(crate) fn into_diagnostic(mut self, top: Position) -> Diagnostic {
        self.steps.reverse();
        let diagnostic = Diagnostic::new(self.steps.into(), self.message).at(self.position.unwrap_or(top));
        match self.hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }
}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new("unknown field").hint(alternatives(field, expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown value {variant:?}")).hint(alternatives(variant, expected))
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

/// The generated code lists each field in snake_case and camelCase; files are written in the first alone.
fn alternatives(written: &str, expected: &'static [&'static str]) -> String {
    let camel = |name: &&str| {
        name.contains(|c: char| c.is_ascii_lowercase()) && name.contains(|c: char| c.is_ascii_uppercase())
    };
    let known = || expected.iter().copied().filter(|name| !camel(name));
    did_you_mean(written, known()).unwrap_or_else(|| format!("known here: {}", known().collect::<Vec<_>>().join(", ")))
}

impl Node {
    /// Removes what is at a path; an item of a list becomes an empty one, so that those behind it keep their numbers. False if nothing
    /// is there, or it is the whole document.
    fn take_out(&mut self, steps: &[Step]) -> bool {
        match (steps, &mut self.content) {
            ([Step::Field(name)], Content::Map(entries)) => {
                let before = entries.len();
                entries.retain(|entry| entry.key != *name);
                entries.len() < before
            }
            ([Step::Item(index)], Content::List(items)) => match items.get_mut(*index) {
                Some(item) => {
                    item.content = Content::Map(Vec::new());
                    true
                }
                None => false,
            },
            ([Step::Field(name), below @ ..], Content::Map(entries)) => {
                entries.iter_mut().find(|entry| entry.key == *name).is_some_and(|entry| entry.value.take_out(below))
            }
            ([Step::Item(index), below @ ..], Content::List(items)) => {
                items.get_mut(*index).is_some_and(|item| item.take_out(below))
            }
            _ => false,
        }
    }

    fn kind(&self) -> &'static str {
        match self.content {
            Content::Nothing => "nothing",
            Content::Text(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    fn expected(&self, what: &str) -> Misfit {
        let misfit = Misfit::new(format!("expected {what}, found {}", self.kind())).at(self.position);
        match self.content {
            Content::Nothing => misfit.hint("write a value, or remove the field"),
            _ => misfit,
        }
    }

    /// Gives what came out of this node its place.
    fn placed(&self, mut misfit: Misfit, step: Step) -> Misfit {
        if let (None, Content::Text(text)) = (misfit.position, &self.content)
            && misfit.hint.is_none()
        {
            // Whole numbers are the only scalars that the generated code reads itself, and every one in the schema is a
            // uint32.
            misfit.message = format!("{text:?} is not a whole number from 0 to {}", u32::MAX);
        }
        misfit.at(self.position).below(step)
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.content {
            Content::Text(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.expected("a single value")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.content {
            Content::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            _ => Err(self.expected("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.content {
            Content::Map(entries) => visitor.visit_map(Fields { entries: entries.iter(), current: None }),
            _ => Err(self.expected("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct enum identifier ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Node>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Misfit;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Misfit> {
        let Some((index, item)) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(item).map(Some).map_err(|misfit| item.placed(misfit, Step::Item(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Fields<'de> {
    entries: std::slice::Iter<'de, Entry>,
    current: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Misfit;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Misfit> {
        let Some(entry) = self.entries.next() else {
            return Ok(None);
        };
        self.current = Some(entry);
        // Fields have one spelling. The JSON mapping would take `idleTimeout` for `idle_timeout`; all in capitals it is
        // sure to be unknown.
        let camel_case = entry.key.contains(|c: char| c.is_ascii_uppercase());
        let name = if camel_case { entry.key.to_ascii_uppercase() } else { entry.key.clone() };
        seed.deserialize(StringDeserializer::new(name))
            .map(Some)
            .map_err(|misfit: Misfit| misfit.at(entry.key_position).below(Step::Field(entry.key.clone().into())))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Misfit> {
        let Some(Entry { key, value, .. }) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(value).map_err(|misfit| value.placed(misfit, Step::Field(key.clone().into())))
    }
}
