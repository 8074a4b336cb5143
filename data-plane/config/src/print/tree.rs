//! The JSON mapping of a message with its fields in their order, and how it is laid out as YAML.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::scalar;

/// Spaces of one level.
const INDENT: usize = 2;

/// A value of the JSON mapping. `serde_json`'s own would sort the fields by name.
#[derive(Debug)]
pub(crate) enum Tree {
    Text(String),
    Number(u64),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    pub(crate) fn of(message: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&serde_json::to_string(message)?)
    }

    /// The tree as a document.
    pub(crate) fn print(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Map(fields) if !fields.is_empty() => print_fields(fields, 0, &mut out),
            other => {
                print_value(other, 0, &mut out);
                out = out.trim_start().to_owned();
            }
        }
        out
    }
}

/// Prints what follows `name:` or `-`, up to the end of its last line; `depth` is that of what is nested in it.
fn print_value(value: &Tree, depth: usize, out: &mut String) {
    match value {
        Tree::Text(text) => {
            out.push(' ');
            scalar::print(text, depth * INDENT, out);
        }
        Tree::Number(number) => out.push_str(&format!(" {number}\n")),
        Tree::List(items) if items.is_empty() => out.push_str(" []\n"),
        Tree::Map(fields) if fields.is_empty() => out.push_str(" {}\n"),
        Tree::List(items) => {
            out.push('\n');
            for item in items {
                margin(depth, out);
                out.push('-');
                match item {
                    // The first field stands beside the dash.
                    Tree::Map(fields) if !fields.is_empty() => {
                        out.push(' ');
                        print_field(&fields[0], depth + 1, out);
                        print_fields(&fields[1..], depth + 1, out);
                    }
                    other => print_value(other, depth + 1, out),
                }
            }
        }
        Tree::Map(fields) => {
            out.push('\n');
            print_fields(fields, depth, out);
        }
    }
}

fn print_fields(fields: &[(String, Tree)], depth: usize, out: &mut String) {
    for field in fields {
        margin(depth, out);
        print_field(field, depth, out);
    }
}

fn print_field((name, value): &(String, Tree), depth: usize, out: &mut String) {
    out.push_str(name);
    out.push(':');
    print_value(value, depth + 1, out);
}

fn margin(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', depth * INDENT));
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a whole number, a list or a mapping")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(field) = fields.next_entry()? {
            map.push(field);
        }
        Ok(Tree::Map(map))
    }
}
