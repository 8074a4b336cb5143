//! What of a schema others rely on, as lines of text: fields, enum values and calls, in the order of the files.
//!
//! ```text
//! shadowcat.config.v1.Route.targets = 4 repeated shadowcat.config.v1.Route.Target
//! shadowcat.config.v1.Route.Sessions.Mode.OPTIONAL = 2
//! shadowcat.admin.v1.Nodes.List (shadowcat.admin.v1.ListNodesRequest) returns (shadowcat.admin.v1.ListNodesResponse)
//! ```

use std::fmt;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, MessageOptions,
    MethodDescriptorProto,
};

/// Ours; other packages come with their own promises.
const PACKAGES: &str = "shadowcat.";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    /// With package and all that encloses it.
    pub(crate) name: String,
    /// Everything about it that may not change.
    pub(crate) shape: String,
}

impl Element {
    /// The number and the rest of a field or an enum value; calls have none.
    pub(crate) fn numbered(&self) -> Option<(&str, &str)> {
        let rest = self.shape.strip_prefix("= ")?;
        Some(rest.split_once(' ').unwrap_or((rest, "")))
    }

    /// The message, enum or service it is in.
    pub(crate) fn parent(&self) -> &str {
        self.name.rsplit_once('.').map_or("", |(parent, _)| parent)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.shape)
    }
}

/// The lines of `elements`.
pub(crate) fn print(elements: &[Element]) -> String {
    elements.iter().map(|element| format!("{element}\n")).collect()
}

/// The elements of lines that [`print`] made.
pub(crate) fn parse(text: &str) -> Vec<Element> {
    let element = |line: &str| {
        let (name, shape) = line.split_once(' ').unwrap_or_else(|| panic!("no line of a schema: {line:?}"));
        Element { name: name.to_owned(), shape: shape.to_owned() }
    };
    text.lines().map(element).collect()
}

/// The elements of an encoded `FileDescriptorSet`.
pub(crate) fn elements(descriptors: &[u8]) -> Vec<Element> {
    let set = FileDescriptorSet::decode(descriptors).expect("a descriptor set");
    let mut elements = Vec::new();
    for file in set.file.iter().filter(|file| file.package().starts_with(PACKAGES)) {
        let package = file.package();
        file.message_type.iter().for_each(|message| in_message(package, message, &mut elements));
        file.enum_type.iter().for_each(|values| in_enum(package, values, &mut elements));
        for service in &file.service {
            let name = format!("{package}.{}", service.name());
            elements.extend(service.method.iter().map(|method| call(&name, method)));
        }
    }
    elements
}

fn in_message(scope: &str, message: &DescriptorProto, elements: &mut Vec<Element>) {
    let name = format!("{scope}.{}", message.name());
    elements.extend(message.field.iter().map(|declared| field(&name, message, declared)));
    message.enum_type.iter().for_each(|values| in_enum(&name, values, elements));
    let nested = message.nested_type.iter().filter(|nested| !is_map_entry(nested));
    nested.for_each(|nested| in_message(&name, nested, elements));
}

fn in_enum(scope: &str, values: &EnumDescriptorProto, elements: &mut Vec<Element>) {
    elements.extend(values.value.iter().map(|value| Element {
        name: format!("{scope}.{}.{}", values.name(), value.name()),
        shape: format!("= {}", value.number()),
    }));
}

fn call(service: &str, method: &MethodDescriptorProto) -> Element {
    let message = |streaming: bool, name: &str| {
        let stream = if streaming { "stream " } else { "" };
        format!("({stream}{})", name.trim_start_matches('.'))
    };
    let asked = message(method.client_streaming(), method.input_type());
    let answered = message(method.server_streaming(), method.output_type());
    Element { name: format!("{service}.{}", method.name()), shape: format!("{asked} returns {answered}") }
}

fn field(message_name: &str, message: &DescriptorProto, field: &FieldDescriptorProto) -> Element {
    let shape = match map_of(message, field) {
        Some([key, value]) => format!("= {} map<{}, {}>", field.number(), type_name(key), type_name(value)),
        None => format!("= {} {}{}{}", field.number(), label(field), type_name(field), oneof(message, field)),
    };
    Element { name: format!("{message_name}.{}", field.name()), shape }
}

/// Whether absence can be told, and how many there may be: both are the receiver's business.
fn label(field: &FieldDescriptorProto) -> &'static str {
    match field.label() {
        Label::Repeated => "repeated ",
        _ if field.proto3_optional() => "optional ",
        Label::Optional | Label::Required => "",
    }
}

/// A field that joins or leaves a `oneof` clears the others, or no longer does.
fn oneof(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    match field.oneof_index {
        Some(index) if !field.proto3_optional() => {
            let index = usize::try_from(index).expect("an index");
            format!(" in oneof {}", message.oneof_decl[index].name())
        }
        _ => String::new(),
    }
}

/// Key and value of a map: on the wire it is a message that the compiler made up.
fn map_of<'m>(message: &'m DescriptorProto, field: &FieldDescriptorProto) -> Option<&'m [FieldDescriptorProto; 2]> {
    let entry = message.nested_type.iter().find(|nested| {
        is_map_entry(nested) && field.type_name().ends_with(&format!(".{}.{}", message.name(), nested.name()))
    })?;
    entry.field.as_slice().try_into().ok()
}

fn is_map_entry(nested: &DescriptorProto) -> bool {
    nested.options.as_ref().is_some_and(MessageOptions::map_entry)
}

fn type_name(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    }
}
