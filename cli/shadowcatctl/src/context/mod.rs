//! Control planes that a person works with, by name: `contexts.yaml`.
//!
//! ```yaml
//! current: local
//! contexts:
//! - name: local
//!   server: http://127.0.0.1:7070
//!   token: shadowcat_…
//! ```
//!
//! The file holds tokens, so it is always written anew with mode 0600, and put in place by a rename: whoever reads it beside a
//! writer sees the one or the other whole. Two writers at once: the last one wins.

mod choose;
mod file;

use serde::{Deserialize, Serialize};

pub use choose::{Connection, choose};
pub use file::path;
pub(crate) use file::write_private;

use crate::connect::Fingerprint;

/// All contexts of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one that is used when nothing else is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name, in the order of the file.
    #[serde(default)]
    pub contexts: Vec<Context>,
}

/// A control plane, and who one is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Its name here.
    pub name: String,
    /// Its URL.
    pub server: String,
    /// The token it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The fleet that is meant; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// The fingerprint of its authority, for `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Fingerprint>,
}

impl Contexts {
    /// The context of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Context> {
        self.contexts.iter().find(|context| context.name == name)
    }

    /// The current context, if the file names one that exists.
    #[must_use]
    pub fn current(&self) -> Option<&Context> {
        self.current.as_deref().and_then(|name| self.get(name))
    }

    /// Adds a context, or puts it in the place of its namesake.
    pub fn put(&mut self, context: Context) {
        match self.contexts.iter_mut().find(|known| known.name == context.name) {
            Some(known) => *known = context,
            None => self.contexts.push(context),
        }
    }

    /// Takes a context out, and leaves none current if it was. False if there was none of this name.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.contexts.len();
        self.contexts.retain(|context| context.name != name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
        self.contexts.len() < before
    }
}
