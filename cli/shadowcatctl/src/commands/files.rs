//! From `-f` to a configuration, with every mistake told by file, line and column before anything is sent.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use shadowcat_config::limits::MAX_FILE_BYTES;
use shadowcat_config::{FleetSource, Position, parse_fleet};
use shadowcat_proto::fleet::v1::ConfigError;

use crate::output::count;
use crate::view::mistake;
use crate::{Exit, Failure};

/// What stands for standard input, and what its mistakes are told of.
const STDIN: &str = "-";

/// Files that a directory stands for.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads and validates what `paths` name.
pub(super) fn read(paths: &[PathBuf]) -> Result<FleetSource, Failure> {
    let mut texts = Vec::new();
    for file in listed(paths)? {
        texts.push((file.display().to_string(), text(&file)?));
    }
    parse_fleet(&texts).map_err(|mistakes| {
        let number = mistakes.entries().len() as u64;
        invalid(number, mistakes.to_string())
    })
}

/// The failure of a configuration with mistakes.
fn invalid(number: u64, lines: String) -> Failure {
    Failure::new(Exit::Invalid, format!("{}; nothing was changed", count(number, "mistake"))).with_report(lines)
}

/// The failure of a configuration in which the server found mistakes, told where the files have them.
pub(super) fn invalid_by_server(errors: &[ConfigError], source: Option<&FleetSource>) -> Failure {
    let lines: Vec<String> = errors.iter().map(|error| located(error, source)).collect();
    invalid(errors.len() as u64, lines.join("\n"))
}

fn located(error: &ConfigError, source: Option<&FleetSource>) -> String {
    let told = mistake(error);
    match source.and_then(|source| source.locate(&error.path)) {
        Some((origin, Position { line, column })) => format!("{origin}:{line}:{column}: {told}"),
        None => told,
    }
}

/// The files that `paths` stand for: those of a directory by name, without what lies deeper and what is hidden.
fn listed(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() != STDIN && path.is_dir() {
            files.extend(in_directory(path)?);
        } else {
            files.push(path.clone());
        }
    }
    let twice = files.iter().enumerate().find(|(index, file)| files[..*index].contains(file));
    match twice {
        Some((_, file)) => Err(Failure::usage(format!("{} is named twice; name it once", file.display()))),
        None => Ok(files),
    }
}

fn in_directory(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |why: std::io::Error| Failure::usage(format!("cannot list {}: {why}", directory.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let fits = path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known));
        if fits && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        let text =
            format!("{} has no .yaml, .yml or .json file; name a file, or another directory", directory.display());
        return Err(Failure::usage(text));
    }
    Ok(files)
}

fn text(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let unreadable = |why: std::io::Error| Failure::usage(format!("cannot read {name}: {why}"));
    let source: Box<dyn Read> = match path.as_os_str() == STDIN {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(File::open(path).map_err(unreadable)?),
    };
    let mut bytes = Vec::new();
    source.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Failure::new(Exit::Invalid, format!("{name} is longer than {MAX_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Failure::new(Exit::Invalid, format!("{name} is not UTF-8 text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_for_its_configuration_files_by_name() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["b.yaml", "a.yml", "c.json", ".hidden.yaml", "notes.txt"] {
            fs::write(directory.path().join(name), "").expect("written");
        }
        fs::create_dir(directory.path().join("d.yaml")).expect("made");
        let files = listed(&[directory.path().to_owned()]).expect("listed");
        let names: Vec<_> = files.iter().filter_map(|file| file.file_name()).collect();
        assert_eq!(names, ["a.yml", "b.yaml", "c.json"]);
    }

    #[test]
    fn a_directory_without_files_and_a_file_named_twice_are_wrong_usage() {
        let directory = tempfile::tempdir().expect("a directory");
        let empty = listed(&[directory.path().to_owned()]).expect_err("nothing to apply");
        assert_eq!(empty.exit(), Exit::Usage);
        let twice = listed(&[PathBuf::from("-"), PathBuf::from("-")]).expect_err("read once only");
        assert!(twice.to_string().contains("- is named twice"), "{twice}");
    }
}
