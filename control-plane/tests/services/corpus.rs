//! The corpus of configurations that nobody may write, from a caller that reads no files and validates nothing before it asks.

use std::path::{Path, PathBuf};

use prost::Message as _;
use shadowcat_config::{Config, Diagnostics, parse_fleet_in};
use shadowcat_proto::admin::v1::{HistoryRequest, Version};
use shadowcat_proto::config::v1 as raw;
use shadowcat_proto::fleet::v1::{ConfigError, ConfigStatus};
use tonic::Code;

use crate::harness::{Plane, config};

/// Texts that are mistakes, and messages that are none: a message has no spellings, no tags and no variables.
const WRONG_AS_TEXT_ALONE: [&str; 5] =
    ["camel-case", "number-as-value", "tag-of-a-program", "unset-variables", "variable-that-is-none"];

/// How many cases there are at least that a message can say; the others are no YAML, or do not fit the schema.
const CASES: usize = 30;

/// A file of the corpus.
struct Case {
    name: String,
    text: String,
}

impl Case {
    fn all() -> Vec<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data-plane/config/tests/corpus");
        let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
        files.sort();
        let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        files.iter().map(|path| Self { name: name(path), text: std::fs::read_to_string(path).unwrap() }).collect()
    }

    /// The message that its documents make, by a reader that judges nothing and replaces no variable. `None` if they make none.
    fn message(&self) -> Option<raw::Config> {
        let parts: Vec<raw::Config> = serde_saphyr::from_multiple(&self.text).ok()?;
        let mut whole = raw::Config::default();
        for part in parts {
            // Merging a message puts its lists after those that are there.
            whole.merge(part.encode_to_vec().as_slice()).unwrap();
        }
        Some(whole)
    }

    /// What is said of it as a file.
    fn as_a_file(&self) -> Diagnostics {
        parse_fleet_in(&[(self.name.clone(), self.text.clone())], &|_| None).unwrap_err()
    }
}

/// Every error that is told at a place is one that the same file is refused for.
fn assert_as_of_the_file(case: &Case, told: &[ConfigError]) {
    let file = case.as_a_file();
    let places: Vec<_> = file.entries().iter().map(|entry| (entry.path.to_string(), entry.message.as_str())).collect();
    if places.iter().all(|(path, _)| path.is_empty()) {
        // The text was refused before anybody looked at its fields.
        return;
    }
    for error in told.iter().filter(|error| !error.path.is_empty()) {
        assert!(
            places.contains(&(error.path.clone(), &error.message)),
            "{}: {error:?}, and of the file:\n{file}",
            case.name
        );
    }
}

async fn history(plane: &Plane) -> Vec<Version> {
    let request = plane.ask(HistoryRequest::default());
    plane.configurations().history(request).await.unwrap().into_inner().versions
}

#[tokio::test]
async fn what_no_file_may_say_no_message_may() {
    let plane = Plane::start().await;
    plane.apply(config("good")).await.unwrap();
    let before = history(&plane).await;
    assert_eq!(before.len(), 1);
    let mut sent = 0;
    for case in Case::all() {
        let Some(message) = case.message() else { continue };
        let name = &case.name;
        if WRONG_AS_TEXT_ALONE.contains(&name.as_str()) {
            assert!(Config::try_from(&message).is_ok(), "{name} is wrong as a message, too");
            continue;
        }
        // There is no place in nothing at all.
        let has_places = message != raw::Config::default();
        let refused = plane.apply(message).await.expect_err(name);
        assert_eq!(refused.code(), Code::InvalidArgument, "{name}: {refused}");
        let told = ConfigStatus::decode(refused.details()).unwrap().errors;
        assert!(!format!("{refused} {told:?}").contains("hunter2"), "{name} repeats a secret");
        assert!(!told.is_empty(), "{name}: {refused}");
        assert!(!has_places || told.iter().any(|error| !error.path.is_empty()), "{name}: {told:?}");
        assert_as_of_the_file(&case, &told);
        sent += 1;
    }
    assert!(sent >= CASES, "{sent} cases were sent");
    assert_eq!(history(&plane).await, before);
    plane.stop().await;
}
