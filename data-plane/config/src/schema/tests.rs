use std::path::Path;

use super::*;
use crate::source::document::{self, Content, Node};

/// What the schema says of a document, by our own reading of the few words that it uses: the first thing that it
/// refuses.
fn check(schema: &Value, root: &Value, node: &Node) -> Result<(), String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.strip_prefix("#/$defs/").expect("a definition of this schema");
        return check(&root["$defs"][name], root, node);
    }
    match (schema["type"].as_str(), &node.content) {
        (Some("object"), Content::Map(entries)) => {
            for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                if !entries.iter().any(|entry| required == entry.key.as_str()) {
                    return Err(format!("{required} is required"));
                }
            }
            assert_eq!(schema["additionalProperties"], false);
            entries.iter().try_for_each(|entry| {
                let known = schema["properties"].get(&entry.key).ok_or_else(|| format!("{} is unknown", entry.key))?;
                check(known, root, &entry.value).map_err(|why| format!("{}: {why}", entry.key))
            })
        }
        (Some("array"), Content::List(items)) => items.iter().try_for_each(|item| check(&schema["items"], root, item)),
        (Some("integer"), Content::Text(text)) => {
            text.parse::<u32>().map(drop).map_err(|_| format!("{text} is no integer"))
        }
        (Some("string"), Content::Text(text)) => match schema.get("enum").and_then(Value::as_array) {
            Some(values) if !values.iter().any(|value| value == text.as_str()) => Err(format!("{text} is no value")),
            _ => Ok(()),
        },
        (Some(kind), _) => Err(format!("is no {kind}")),
        (None, _) => panic!("a schema without a type: {schema}"),
    }
}

fn told(text: &str) -> Result<(), String> {
    let node = document::read(text, &|_| None, &mut Vec::new()).expect("YAML");
    let schema = json_schema();
    check(&schema, &schema, &node)
}

/// Everything that the design of the configuration has.
const EVERYTHING: &str = include_str!("../../tests/golden/everything.yaml");

#[test]
fn the_schema_takes_a_file_with_everything_in_it() {
    assert_eq!(told(EVERYTHING), Ok(()));
}

#[test]
fn the_schema_refuses_what_the_reader_would() {
    for (broken, with, why) in [
        ("path: /mcp", "pat: /mcp", "routes: match: \"path\" is required"),
        ("match: {", "matches: {", "routes: matches is unknown"),
        ("mode: REQUIRED", "mode: required", "routes: sessions: mode: required is no value"),
        ("max: 1000", "max: many", "routes: sessions: max: many is no integer"),
        ("policies: [tools-by-role]", "policies: tools-by-role", "routes: policies: is no array"),
    ] {
        assert!(EVERYTHING.contains(broken), "{broken}");
        assert_eq!(told(&EVERYTHING.replacen(broken, with, 1)), Err(why.to_owned()));
    }
}

#[test]
fn everything_in_the_schema_is_described() {
    fn walk(value: &Value, path: &str) {
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                assert!(property["description"].is_string(), "{path}.{name} has no comment in the schema");
            }
        }
        for (name, definition) in value.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            assert!(definition["description"].is_string(), "{name} has no comment in the schema");
            walk(definition, name);
        }
    }
    walk(&json_schema(), "");
}

#[test]
fn the_schema_that_editors_get_is_the_one_made_here() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config.schema.json");
    let made = serde_json::to_string_pretty(&json_schema()).expect("printable") + "\n";
    if std::env::var_os("SHADOWCAT_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{} is not up to date: run this test with SHADOWCAT_WRITE_GOLDEN=1", path.display());
}
