//! Ways to spoil a document.

use proptest::prelude::*;
use proptest::sample;
use serde_json::Value;

use super::valid::text;

#[derive(Debug, Clone)]
pub(super) enum Spoil {
    Remove,
    Rename(&'static str),
    Replace(Value),
    Repeat,
}

pub(super) fn spoil() -> impl Strategy<Value = Spoil> {
    let replacement = prop_oneof![
        any::<u32>().prop_map(Value::from),
        Just(Value::Null),
        Just(serde_json::json!([])),
        Just(serde_json::json!({ "name": "x" })),
        text().prop_map(Value::from),
        sample::select(vec!["${UNSET}", "${", "upstream-0", "0s", "*", "OPTIONAL"]).prop_map(Value::from),
    ];
    prop_oneof![
        Just(Spoil::Remove),
        sample::select(vec!["name", "nmae", "policies", "spool", "idleTimeout", "secret", "http", "match"])
            .prop_map(Spoil::Rename),
        replacement.prop_map(Spoil::Replace),
        Just(Spoil::Repeat),
    ]
}

/// Spoils the node that `choose` leads to.
pub(super) fn apply(value: &mut Value, choose: &mut impl FnMut(usize) -> usize, spoil: &Spoil) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let name = fields.keys().nth(choose(fields.len())).expect("within").clone();
            match spoil {
                _ if choose(2) == 0 => apply(&mut fields[&name], choose, spoil),
                Spoil::Remove => drop(fields.remove(&name)),
                Spoil::Rename(other) => {
                    let value = fields.remove(&name).expect("present");
                    fields.insert((*other).to_owned(), value);
                }
                Spoil::Replace(other) => fields[&name] = other.clone(),
                Spoil::Repeat => {}
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = choose(items.len());
            match spoil {
                Spoil::Repeat if choose(2) == 0 => items.push(items[index].clone()),
                _ => apply(&mut items[index], choose, spoil),
            }
        }
        _ => {}
    }
}
