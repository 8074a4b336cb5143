//! JSONPath (RFC 9535): what a recording's paths select in one message, as a tree that a pass over the text can follow.

use std::collections::HashMap;

use serde_json::Value;
use serde_json_path::{JsonPath, PathElement};

use super::rules::RuleError;

/// The paths of a recording.
#[derive(Debug, Default)]
pub(super) struct Paths(Vec<JsonPath>);

impl Paths {
    pub(super) fn new(texts: &[String]) -> Result<Self, RuleError> {
        let parse = |text: &String| {
            let bad = |e: serde_json_path::ParseError| RuleError::BadPath { path: text.clone(), why: e.to_string() };
            JsonPath::parse(text).map_err(bad)
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// What they select in this body; `None` if that is nothing, or the body no JSON.
    pub(super) fn select(&self, body: &[u8]) -> Option<Selection> {
        if self.0.is_empty() {
            return None;
        }
        let tree: Value = serde_json::from_slice(body).ok()?;
        let mut selection = Selection { nodes: vec![Node::default()] };
        for path in &self.0 {
            for place in path.query_located(&tree).locations() {
                selection.insert(place.iter());
            }
        }
        (selection.nodes.len() > 1 || selection.nodes[0].selected).then_some(selection)
    }
}

/// What was selected, by place. Node 0 is the whole message.
#[derive(Debug)]
pub(super) struct Selection {
    nodes: Vec<Node>,
}

/// A value on the way to something selected.
#[derive(Debug, Default)]
struct Node {
    selected: bool,
    members: HashMap<String, usize>,
    elements: HashMap<usize, usize>,
}

impl Selection {
    fn insert<'a>(&mut self, place: impl Iterator<Item = &'a PathElement<'a>>) {
        let mut at = 0;
        for step in place {
            let next = self.nodes.len();
            let found = match step {
                PathElement::Name(name) => *self.nodes[at].members.entry((*name).to_owned()).or_insert(next),
                PathElement::Index(index) => *self.nodes[at].elements.entry(*index).or_insert(next),
            };
            if found == next {
                self.nodes.push(Node::default());
            }
            at = found;
        }
        self.nodes[at].selected = true;
    }

    pub(super) fn selects(&self, node: Option<usize>) -> bool {
        node.is_some_and(|node| self.nodes[node].selected)
    }

    pub(super) fn member(&self, node: Option<usize>, name: &[u8]) -> Option<usize> {
        self.nodes[node?].members.get(std::str::from_utf8(name).ok()?).copied()
    }

    pub(super) fn element(&self, node: Option<usize>, index: usize) -> Option<usize> {
        self.nodes[node?].elements.get(&index).copied()
    }
}
