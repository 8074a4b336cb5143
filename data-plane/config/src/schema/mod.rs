//! The JSON Schema of a configuration file, for editors: made from the descriptors of the messages, so that it cannot
//! say anything else than they do.
//!
//! It is what a local file may say; `apply` takes all of it but `node`. Comments become descriptions, enums become
//! lists of texts, and a field without `optional` is required. What the validator adds (references, ranges, forms of
//! texts) is not in it, and a `${NAME}` in the place of a number is marked by an editor although the gateway takes it.

mod descriptor;

#[cfg(test)]
mod tests;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{EnumValueDescriptorProto, FieldDescriptorProto};
use serde_json::{Map, Value, json};

use descriptor::{Descriptors, Message};

/// The message that a local file holds.
const ROOT: &str = "LocalConfig";

/// The schema that the schema is written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema of a configuration file.
#[must_use]
pub fn json_schema() -> Value {
    let descriptors = Descriptors::read();
    let mut definitions = Map::new();
    let mut waiting = vec![ROOT.to_owned()];
    while let Some(name) = waiting.pop() {
        if definitions.contains_key(&name) {
            continue;
        }
        if let Some(message) = descriptors.message(&name) {
            definitions.insert(name, object(&descriptors, message, &mut waiting));
        }
    }
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!(DIALECT));
    schema.insert("title".to_owned(), json!("Shadowcat configuration"));
    if let Some(Value::Object(root)) = definitions.remove(ROOT) {
        schema.extend(root);
    }
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}

/// A message; those in its fields are added to `waiting`.
fn object(descriptors: &Descriptors, message: &Message, waiting: &mut Vec<String>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (field, comment) in message.descriptor.field.iter().zip(&message.field_comments) {
        let mut schema = match field.r#type() {
            Type::Message => {
                let name = descriptor::local_name(field.type_name());
                waiting.push(name.clone());
                json!({ "$ref": format!("#/$defs/{name}") })
            }
            Type::Enum => choice(descriptors, field.type_name()),
            Type::Uint32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            _ => json!({ "type": "string" }),
        };
        if field.label() == Label::Repeated {
            schema = json!({ "type": "array", "items": schema });
        } else if is_required(field) {
            required.push(field.name().to_owned());
        }
        describe(&mut schema, comment);
        properties.insert(field.name().to_owned(), schema);
    }
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    describe(&mut schema, &message.comment);
    schema
}

/// A field that is neither `optional` nor a list nor a message: empty means nothing in any of them.
fn is_required(field: &FieldDescriptorProto) -> bool {
    !field.proto3_optional() && field.r#type() != Type::Message
}

/// The values of an enum, with what each means.
fn choice(descriptors: &Descriptors, type_name: &str) -> Value {
    let Some(choice) = descriptors.choice(&descriptor::local_name(type_name)) else {
        return json!({ "type": "string" });
    };
    let names: Vec<&str> = choice.descriptor.value.iter().map(EnumValueDescriptorProto::name).collect();
    let meaning = |(name, comment)| format!("{name}: {comment}");
    let meanings: Vec<String> = names.iter().zip(&choice.value_comments).map(meaning).collect();
    json!({ "type": "string", "enum": names, "description": meanings.join("\n") })
}

/// Puts a comment before whatever the schema is described with already.
fn describe(schema: &mut Value, comment: &str) {
    if comment.is_empty() {
        return;
    }
    let described = match schema.get("description").and_then(Value::as_str) {
        Some(more) => format!("{comment}\n{more}"),
        None => comment.to_owned(),
    };
    schema["description"] = json!(described);
}
