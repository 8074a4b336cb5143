//! `contexts.yaml`: where it is, and how it is read and written.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Contexts;
use crate::Failure;
use crate::output::yaml;

/// Names another file than the usual one.
const FILE_VARIABLE: &str = "SHADOWCAT_CONTEXTS";

/// Bytes of the file: ten thousand contexts.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Nobody but its owner reads a token.
const MODE: u32 = 0o600;

/// Where the contexts are: `$SHADOWCAT_CONTEXTS`, else `$XDG_CONFIG_HOME/shadowcat/contexts.yaml`, else
/// `~/.config/shadowcat/contexts.yaml`.
///
/// # Errors
/// None of the variables is set.
pub fn path() -> Result<PathBuf, Failure> {
    path_in(&|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn path_in(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(file) = variable(FILE_VARIABLE) {
        return Ok(file);
    }
    // The XDG base directory specification tells to ignore relative paths.
    let directory = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    directory
        .or_else(|| variable("HOME").map(|home| home.join(".config")))
        .map(|directory| directory.join("shadowcat").join("contexts.yaml"))
        .ok_or_else(|| Failure::usage(format!("no place for contexts: set HOME, or {FILE_VARIABLE} to a file")))
}

impl Contexts {
    /// Reads the file; no contexts if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is none of ours.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Failure::usage(format!(
                "cannot read the contexts in {}: {why}; correct the file, or remove it",
                path.display()
            ))
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(why) => return Err(unreadable(&why)),
        };
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(|why| unreadable(&why))?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        // Only the position: a parser's excerpt of the file would show tokens.
        serde_saphyr::from_str(&text).map_err(|why| match why.location() {
            Some(at) => unreadable(&format!("line {}, column {} is not as expected", at.line(), at.column())),
            None => unreadable(&"it is not as expected"),
        })
    }

    /// Writes the file, and the directories it is in.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let text = yaml(self).map_err(|why| Failure::failed(format!("cannot write contexts: {why}")))?;
        write_private(path, text.as_bytes())
            .map_err(|why| Failure::failed(format!("cannot write the contexts to {}: {why}", path.display())))
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_os_string();
    name.push(format!(".{}", std::process::id()));
    let temporary = directory.join(name);
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is left of it holds secrets; that it cannot be removed is not worth more than the first error.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::context::Context;

    fn context(name: &str) -> Context {
        let server = "http://127.0.0.1:7070".to_owned();
        Context { name: name.to_owned(), server, token: Some("123".to_owned()), fleet: None, ca: None }
    }

    #[test]
    fn what_is_saved_loads_again_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("new").join("contexts.yaml");
        let mut contexts = Contexts { current: Some("true".to_owned()), contexts: vec![context("true")] };
        contexts.save(&path).expect("written");
        contexts.put(context("no"));
        contexts.save(&path).expect("written over the first");
        assert_eq!(Contexts::load(&path).expect("readable"), contexts);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(path.parent().expect("new")).expect("listed").count(), 1, "nothing else is left");
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_told_by_its_place_and_without_its_tokens() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("contexts.yaml");
        fs::write(&path, "current: a\ncontexts:\n- name: a\n  tokn: secret-token\n").expect("written");
        let told = Contexts::load(&path).expect_err("a field nobody knows").to_string();
        assert!(told.contains("line 4") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn no_file_is_no_contexts() {
        assert_eq!(Contexts::load(Path::new("/nonexistent/contexts.yaml")).expect("nothing"), Contexts::default());
    }

    #[test]
    fn the_file_is_where_the_environment_says() {
        let with = |set: &[(&str, &str)]| {
            path_in(&|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value)))
        };
        let home = ("HOME", "/home/a");
        assert_eq!(with(&[home]).expect("a path"), Path::new("/home/a/.config/shadowcat/contexts.yaml"));
        let xdg = ("XDG_CONFIG_HOME", "/x");
        assert_eq!(with(&[home, xdg]).expect("a path"), Path::new("/x/shadowcat/contexts.yaml"));
        assert_eq!(with(&[("SHADOWCAT_CONTEXTS", "/c.yaml")]).expect("a path"), Path::new("/c.yaml"));
        assert!(with(&[]).is_err());
    }
}
