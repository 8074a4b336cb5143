//! What holds of every configuration and of every text: properties, with inputs made at random.

mod any;
mod spoil;
mod valid;

use proptest::prelude::*;
use proptest::{collection::vec, sample};
use serde::Deserialize;
use serde_json::Value;
use shadowcat_proto::config::v1 as raw;

use crate::source::document;
use crate::{
    Config, Diagnostics, FieldPath, LocalConfig, Step, Verb, canonical, diff, digest, parse_fleet_in, parse_local_in,
    print_yaml, resource_digests,
};
use any::config;
use spoil::{apply, spoil};
use valid::local;

fn parse(text: &str) -> Result<LocalConfig, Diagnostics> {
    parse_local_in(text, "random", &|name| (name == "SET").then(|| "x: [\"".to_owned()))
}

// Ways to write them down.

/// The JSON mapping, with what would be read as a variable escaped.
fn document(raw: &raw::LocalConfig) -> Value {
    let mut document = serde_json::to_value(raw).expect("raw messages are written as JSON");
    escape(&mut document);
    document
}

fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "$${"),
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(fields) => fields.values_mut().for_each(escape),
        _ => {}
    }
}

/// Block-style YAML; scalars are double-quoted as in JSON, or single-quoted where that can carry them.
fn yaml(value: &Value, indent: usize, out: &mut String) {
    let margin = "  ".repeat(indent);
    let nested = |value: &Value| {
        matches!(value, Value::Array(items) if !items.is_empty())
            || matches!(value, Value::Object(fields) if !fields.is_empty())
    };
    let below = |lead: String, value: &Value, out: &mut String| {
        out.push_str(&margin);
        out.push_str(&lead);
        if nested(value) {
            out.push('\n');
            yaml(value, indent + 1, out);
        } else {
            out.push(' ');
            out.push_str(&scalar(value));
            out.push('\n');
        }
    };
    match value {
        Value::Array(items) => items.iter().for_each(|item| below("-".to_owned(), item, out)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| below(format!("{name}:"), value, out)),
        _ => out.push_str(&scalar(value)),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ => value.to_string(),
    }
}

fn resolves(path: &FieldPath, document: &Value) -> bool {
    path.steps()
        .iter()
        .try_fold(document, |here, step| match step {
            Step::Field(name) => here.get(&**name),
            Step::Item(index) => here.get(index),
        })
        .is_some()
}

/// Whether a path leads to something, or to a text that is empty, which JSON leaves out.
fn exists(path: &FieldPath, document: &Value) -> bool {
    let (last, above) = match path.steps().split_last() {
        Some((Step::Field(_), above)) => (path, FieldPath::from(above.to_vec())),
        _ => (path, path.clone()),
    };
    resolves(last, document) || resolves(&above, document)
}

fn fleet_of(raw: raw::LocalConfig) -> raw::Config {
    raw::Config { routes: raw.routes, upstreams: raw.upstreams, ..Default::default() }
}

proptest! {
    #[test]
    fn a_configuration_is_the_same_however_it_is_written(raw in local()) {
        let meant = LocalConfig::try_from(&raw);
        prop_assert!(meant.is_ok(), "{meant:?}");
        let document = document(&raw);
        let mut block = String::new();
        yaml(&document, 0, &mut block);
        for text in [document.to_string(), serde_json::to_string_pretty(&document).expect("printable"), block] {
            prop_assert_eq!(&parse(&text), &meant, "{}", text);
        }
    }

    #[test]
    fn every_diagnostic_leads_to_a_place_in_the_document(raw in local(), spoils in vec((spoil(), vec(any::<sample::Index>(), 24)), 1..4)) {
        let mut document = document(&raw);
        for (spoil, choices) in &spoils {
            let mut choices = choices.iter().cycle();
            apply(&mut document, &mut |count| choices.next().expect("endless").index(count), spoil);
        }
        if let Err(diagnostics) = parse(&document.to_string()) {
            prop_assert!(!diagnostics.entries().is_empty());
            for diagnostic in diagnostics.entries() {
                prop_assert!(resolves(&diagnostic.path, &document), "{diagnostic}\n{document}");
                prop_assert!(diagnostic.position.is_some(), "{diagnostic}");
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}", yaml in "[-:#?{}\\[\\]&*!|>'\"$a \n]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&yaml);
    }

    #[test]
    fn no_damage_to_a_file_makes_the_reader_panic(raw in local(), at in any::<sample::Index>(), length in 0usize..40, with in "[-:#{}\\[\\]'\"$\n a]{0,5}") {
        let mut block = String::new();
        yaml(&document(&raw), 0, &mut block);
        let characters: Vec<char> = block.chars().collect();
        let start = at.index(characters.len());
        let damaged: String = characters[..start].iter().copied().chain(with.chars()).chain(characters[start..].iter().copied().skip(length)).collect();
        let _ = parse(&damaged);
    }

    #[test]
    fn what_is_printed_is_read_as_the_same_message(raw in config()) {
        let printed = print_yaml(&raw);
        let mut found = Vec::new();
        let tree = document::read(&printed, &|_| None, &mut found);
        prop_assert!(tree.is_ok() && found.is_empty(), "{tree:?} {found:?}\n{printed}");
        let read = raw::Config::deserialize(&tree.expect("checked"));
        prop_assert!(read.is_ok(), "{read:?}\n{printed}");
        prop_assert_eq!(read.expect("checked"), raw, "{}", printed);
    }

    #[test]
    fn a_valid_configuration_is_printed_and_read_as_a_fleet(raw in local()) {
        let raw = fleet_of(raw);
        let printed = print_yaml(&raw);
        let read = parse_fleet_in(&[("printed.yaml".to_owned(), printed.clone())], &|_| None);
        prop_assert!(read.is_ok(), "{read:?}\n{printed}");
        prop_assert_eq!(read.expect("checked").into_config(), raw, "{}", printed);
    }

    #[test]
    fn digests_are_equal_exactly_if_messages_are(one in config(), other in config(), change in any::change()) {
        let mut changed = one.clone();
        change.apply(&mut changed);
        for other in [&other, &changed, &one.clone()] {
            let equal = digest(&canonical(&one)) == digest(&canonical(other));
            prop_assert_eq!(equal, one == *other);
        }
        let decoded: raw::Config = prost::Message::decode(&*canonical(&one)).expect("its own bytes");
        prop_assert_eq!(decoded, one);
    }

    #[test]
    fn a_difference_is_told_wherever_there_is_one(one in config(), other in config(), change in any::change()) {
        let mut changed = one.clone();
        change.apply(&mut changed);
        prop_assert!(diff(&one, &one).is_empty());
        for other in [other, changed] {
            let changes = diff(&one, &other);
            prop_assert_eq!(changes.is_empty(), one == other, "{:?}", changes);
            for change in &changes {
                let told = match &change.verb {
                    Verb::Changed(fields) => fields.iter().all(|field| field.before != field.after) && !fields.is_empty(),
                    _ => true,
                };
                prop_assert!(told, "{change:?}");
            }
        }
    }

    #[test]
    fn a_resource_has_a_new_digest_exactly_if_it_changed(raw in config(), change in any::change()) {
        let one = any::with_names_apart(raw);
        let mut other = one.clone();
        change.apply(&mut other);
        let other = any::with_names_apart(other);
        let (before, after) = (resource_digests(&one), resource_digests(&other));
        for change in diff(&one, &other) {
            let (before, after) = (before.get(&change.key), after.get(&change.key));
            let told = match change.verb {
                Verb::Added => before.is_none() && after.is_some(),
                Verb::Removed => before.is_some() && after.is_none(),
                Verb::Changed(_) => before != after,
                Verb::Moved => before.is_some() && after.is_some(),
            };
            prop_assert!(told);
        }
    }

    #[test]
    fn every_refusal_of_a_message_names_a_place_in_it(raw in config()) {
        if let Err(refused) = Config::try_from(&raw) {
            prop_assert!(!refused.entries().is_empty());
            let document = serde_json::to_value(&raw).expect("raw messages are written as JSON");
            for diagnostic in refused.entries() {
                prop_assert!(exists(&diagnostic.path, &document), "{diagnostic}\n{document}");
            }
        }
    }

    #[test]
    fn no_bytes_make_the_validator_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(raw) = <raw::Config as prost::Message>::decode(&*bytes) {
            let _ = Config::try_from(&raw);
            let _ = print_yaml(&raw);
        }
    }
}
