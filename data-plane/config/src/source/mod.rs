//! From text to a `LocalConfig`, and in [`fleet`] from several files to the configuration of a fleet.
//!
//! 1. [`document`] reads YAML, and so JSON, into a tree that knows where everything was written, and replaces `${NAME}`
//!    in it.
//! 2. [`deserialize`] fills the raw messages from the tree; the first thing that does not fit the schema ends it.
//! 3. The validator gives them meaning; what it finds is located in the tree.
//!
//! The tree is ours, and not a YAML crate's typed deserializer, for two reasons: mistakes of every step are located in
//! one way; and a variable replaces text inside one value and so can never change the structure around it.

mod deserialize;
pub(crate) mod document;
pub(crate) mod fleet;
pub(crate) mod substitute;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::limits::MAX_FILE_BYTES;
use crate::validate;
use crate::{Diagnostic, Diagnostics, FieldPath, LocalConfig};
use document::Node;

/// Looks up an environment variable.
pub(crate) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Reads a local configuration from a YAML or JSON file, with `${NAME}` replaced from the environment of this process.
///
/// Reads the whole file, so not from an async task.
///
/// # Errors
/// Everything that is wrong with it, or that it cannot be read.
pub fn load_local(path: &Path) -> Result<LocalConfig, Diagnostics> {
    let origin = path.display().to_string();
    let text = read_bounded(path)
        .map_err(|message| Diagnostics::new(&origin, vec![Diagnostic::new(FieldPath::default(), message)]))?;
    parse_local(&text, &origin)
}

/// Reads a local configuration from YAML or JSON text, with `${NAME}` replaced from the environment of this process.
/// `origin` is what the diagnostics call the text.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_local(text: &str, origin: &str) -> Result<LocalConfig, Diagnostics> {
    parse_local_in(text, origin, &|name| std::env::var(name).ok())
}

/// [`parse_local`] with an environment of the caller's choice.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_local_in(text: &str, origin: &str, environment: Environment<'_>) -> Result<LocalConfig, Diagnostics> {
    let mut found = Vec::new();
    let tree = match document::read(text, environment, &mut found) {
        Ok(tree) => tree,
        Err(why) => {
            found.push(why);
            return Err(Diagnostics::new(origin, found));
        }
    };
    match understand(tree) {
        Ok(config) if found.is_empty() => return Ok(config),
        Ok(_) => {}
        Err(more) => extend_untold(&mut found, more),
    }
    Err(Diagnostics::new(origin, found))
}

/// Adds what is told of other fields: where a variable was missing, what the value means is not worth telling as well.
fn extend_untold(found: &mut Vec<Diagnostic>, more: Vec<Diagnostic>) {
    let told: HashSet<FieldPath> = found.iter().map(|known| known.path.clone()).collect();
    found.extend(more.into_iter().filter(|one| !told.contains(&one.path)));
}

fn understand(mut tree: Node) -> Result<LocalConfig, Vec<Diagnostic>> {
    let raw = deserialize::fill(&mut tree)?;
    validate::local(&raw).map_err(|mut found| {
        for diagnostic in &mut found {
            diagnostic.position = Some(tree.position_told(&diagnostic.path, diagnostic.told_at));
        }
        found
    })
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let unreadable = |why: std::io::Error| format!("the file cannot be read: {why}");
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("the file is longer than {MAX_FILE_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())
}
