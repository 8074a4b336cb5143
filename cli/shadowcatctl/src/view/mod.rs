//! Answers as people read them: one file for each kind of thing.
//!
//! Pure: a message and a [`Page`] in, text out. What is free text stands in the last column.

mod audit;
mod changes;
mod contexts;
mod conversation;
mod frames;
mod nodes;
mod routes;
mod sessions;
mod status;
mod tapes;
mod traffic;
mod upstreams;
mod versions;

use serde::{Serialize, Serializer};
use shadowcat_proto::admin::v1::{Progress, Rejection};
use shadowcat_proto::fleet::v1::ConfigError;

pub use contexts::{ContextList, ContextShown};
pub use conversation::{Blobs, Conversation, Layout, Recorded};
pub use frames::{Columns, FoundFrames, FrameRows};
pub use routes::Routes;
pub use traffic::Top;
pub use upstreams::Upstreams;
pub(crate) use versions::number;

use crate::output::{Page, View, clean, count};

/// An answer of which a sentence says everything.
#[derive(Debug, Clone)]
pub struct Said<T> {
    /// For programs.
    pub answer: T,
    /// For people, without a newline.
    pub sentence: String,
}

impl<T: Serialize> Serialize for Said<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.answer.serialize(serializer)
    }
}

impl<T: Serialize> View for Said<T> {
    fn text(&self, _: &Page) -> String {
        format!("{}\n", clean(&self.sentence))
    }
}

/// A mistake in one line: `routes[0].name: …  (what to do)`.
#[must_use]
pub fn mistake(error: &ConfigError) -> String {
    let path = if error.path.is_empty() { String::new() } else { format!("{}: ", clean(&error.path)) };
    let hint = if error.hint.is_empty() { String::new() } else { format!(" ({})", clean(&error.hint)) };
    format!("{path}{}{hint}", clean(&error.message))
}

/// A rejection as lines: `edge-1: routes[0].name: …`.
#[must_use]
pub fn rejection(rejection: &Rejection) -> Vec<String> {
    let node = clean(&rejection.node);
    if rejection.errors.is_empty() {
        return vec![format!("{node}: rejected without a reason")];
    }
    rejection.errors.iter().map(|error| format!("{node}: {}", mistake(error))).collect()
}

/// How far a version has come, in one line.
#[must_use]
pub fn progress(progress: &Progress) -> String {
    let Progress { nodes, applied, superseded_by, .. } = *progress;
    let rejected = match progress.rejections.len() {
        0 => String::new(),
        some => format!(", rejected by {some}"),
    };
    let left = match progress.left.as_slice() {
        [] => String::new(),
        some => {
            let named = some.iter().map(|node| clean(node)).collect::<Vec<_>>().join(", ");
            format!("; went away without it, and gets it on coming back: {named}")
        }
    };
    match (nodes, superseded_by) {
        (0, 0) => "no node is connected; nodes get the version when they come".to_owned(),
        (_, 0) => format!("applied {applied}/{nodes}{rejected}{left}"),
        (_, newer) => format!("applied {applied}/{nodes}{rejected}{left}; version {newer} took its place"),
    }
}

impl View for Progress {
    fn text(&self, _: &Page) -> String {
        format!("{}\n", progress(self))
    }
}

/// Nodes that did not answer, as a last line; nothing if all did.
fn silent(nodes: &[String], consequence: &str) -> String {
    if nodes.is_empty() {
        return String::new();
    }
    let named = nodes.iter().map(|node| clean(node)).collect::<Vec<_>>().join(", ");
    format!("{} did not answer: {named}; {consequence}\n", count(nodes.len() as u64, "node"))
}
