//! A configuration as a file, for people to read and to apply again.
//!
//! The fields are in the order of the schema, and what is absent is left out. Reading what was printed gives the same
//! message back; texts that YAML, or another reader of it, could take for something else are quoted. Only the private
//! characters that the reader keeps for itself (U+100000 to U+10007F), which the validator refuses, do not come back.

mod scalar;
mod tree;

#[cfg(test)]
mod tests;

use shadowcat_proto::config::v1 as raw;

use tree::Tree;

/// What stands in the place of a value that is not shown.
const MASKED: &str = "***";

/// A header or variable whose name has one of these in it is taken for a credential: better one value too many hidden
/// than one shown.
const CREDENTIAL_WORDS: [&str; 8] = ["auth", "cookie", "credential", "key", "pass", "pwd", "secret", "token"];

/// The configuration as YAML.
#[must_use]
pub fn print_yaml(raw: &raw::Config) -> String {
    match Tree::of(raw) {
        Ok(tree) => tree.print(),
        // Only a number that is no value of its enum has no JSON form; the validator lets none through.
        Err(why) => format!("# this configuration cannot be written down: {why}\n{{}}\n"),
    }
}

/// The configuration with the values of headers and variables that look like credentials hidden. References to secrets
/// stay: they tell where one is, and not what it is.
#[must_use]
pub fn mask(raw: &raw::Config) -> raw::Config {
    let mut masked = raw.clone();
    for route in &mut masked.routes {
        for header in route.r#match.iter_mut().flat_map(|matches| &mut matches.headers) {
            hide(&header.name, Some(&mut header.value));
        }
    }
    for upstream in &mut masked.upstreams {
        for header in upstream.http.iter_mut().flat_map(|http| &mut http.headers) {
            hide(&header.name, header.value.as_mut());
        }
        for variable in upstream.stdio.iter_mut().flat_map(|stdio| &mut stdio.env) {
            hide(&variable.name, variable.value.as_mut());
        }
    }
    masked
}

fn hide(name: &str, value: Option<&mut String>) {
    let name = name.to_ascii_lowercase();
    if let Some(value) = value
        && CREDENTIAL_WORDS.iter().any(|word| name.contains(word))
    {
        MASKED.clone_into(value);
    }
}
