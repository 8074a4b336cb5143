//! The descriptors of the configuration's messages and enums, by their names, with their comments.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// The package whose messages a file holds.
const PACKAGE: &str = "shadowcat.config.v1";

/// Numbers of fields in `descriptor.proto`, of which the paths of comments are made.
const FILE_MESSAGE: i32 = 4;
const FILE_ENUM: i32 = 5;
const MESSAGE_FIELD: i32 = 2;
const MESSAGE_NESTED: i32 = 3;
const MESSAGE_ENUM: i32 = 4;
const ENUM_VALUE: i32 = 2;

/// The comments of one file, by the path of what they are about.
type Comments = BTreeMap<Vec<i32>, String>;

/// Every message and enum of the configuration.
#[derive(Default)]
pub(crate) struct Descriptors {
    messages: BTreeMap<String, Message>,
    enums: BTreeMap<String, Choice>,
}

/// A message.
pub(crate) struct Message {
    pub(crate) descriptor: DescriptorProto,
    pub(crate) comment: String,
    /// Of the fields, in their order.
    pub(crate) field_comments: Vec<String>,
}

/// An enum.
pub(crate) struct Choice {
    pub(crate) descriptor: EnumDescriptorProto,
    /// Of the values, in their order.
    pub(crate) value_comments: Vec<String>,
}

impl Descriptors {
    pub(crate) fn read() -> Self {
        // The bytes were made by the build of this very program.
        let set = FileDescriptorSet::decode(shadowcat_proto::DESCRIPTORS).unwrap_or_default();
        let mut descriptors = Self::default();
        for file in set.file.iter().filter(|file| file.package() == PACKAGE) {
            let comments = comments(file);
            for (index, message) in file.message_type.iter().enumerate() {
                descriptors.add(message, message.name().to_owned(), &path(&[], FILE_MESSAGE, index), &comments);
            }
            for (index, found) in file.enum_type.iter().enumerate() {
                descriptors.add_enum(found, found.name().to_owned(), &path(&[], FILE_ENUM, index), &comments);
            }
        }
        descriptors
    }

    pub(crate) fn message(&self, name: &str) -> Option<&Message> {
        self.messages.get(name)
    }

    pub(crate) fn choice(&self, name: &str) -> Option<&Choice> {
        self.enums.get(name)
    }

    fn add(&mut self, message: &DescriptorProto, name: String, at: &[i32], comments: &Comments) {
        for (index, nested) in message.nested_type.iter().enumerate() {
            self.add(nested, format!("{name}.{}", nested.name()), &path(at, MESSAGE_NESTED, index), comments);
        }
        for (index, found) in message.enum_type.iter().enumerate() {
            self.add_enum(found, format!("{name}.{}", found.name()), &path(at, MESSAGE_ENUM, index), comments);
        }
        let of_field = |index| comment(comments, &path(at, MESSAGE_FIELD, index));
        let field_comments = (0..message.field.len()).map(of_field).collect();
        let message = Message { descriptor: message.clone(), comment: comment(comments, at), field_comments };
        self.messages.insert(name, message);
    }

    fn add_enum(&mut self, found: &EnumDescriptorProto, name: String, at: &[i32], comments: &Comments) {
        let of_value = |index| comment(comments, &path(at, ENUM_VALUE, index));
        let value_comments = (0..found.value.len()).map(of_value).collect();
        self.enums.insert(name, Choice { descriptor: found.clone(), value_comments });
    }
}

/// `Route.Match` of `.shadowcat.config.v1.Route.Match`.
pub(crate) fn local_name(type_name: &str) -> String {
    let local = type_name.strip_prefix('.').and_then(|rest| rest.strip_prefix(PACKAGE)).unwrap_or(type_name);
    local.trim_start_matches('.').to_owned()
}

fn path(above: &[i32], field: i32, index: usize) -> Vec<i32> {
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    above.iter().copied().chain([field, index]).collect()
}

fn comments(file: &FileDescriptorProto) -> Comments {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    locations.map(|location| (location.path.clone(), one_line(location.leading_comments()))).collect()
}

fn comment(comments: &Comments, path: &[i32]) -> String {
    comments.get(path).cloned().unwrap_or_default()
}

fn one_line(comment: &str) -> String {
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}
