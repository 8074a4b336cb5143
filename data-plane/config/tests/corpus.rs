//! Hostile, contradictory and oversize configurations: each is refused, and what is said of it is in a golden file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use shadowcat_config::parse_fleet_in;

/// How many lines of a refusal are kept: the first tell whether it is the right one.
const LINES: usize = 6;

/// How many there are at least.
const CASES: usize = 40;

/// No refusal takes longer, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(5);

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Every case with what is said of it.
fn told() -> Vec<(String, Vec<String>)> {
    let entries = std::fs::read_dir(directory()).expect("the corpus is beside this test");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let tell = |path: &PathBuf| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("text");
        let started = Instant::now();
        let refused = parse_fleet_in(&[(name.clone(), text)], &|_| None).expect_err(&name);
        assert!(started.elapsed() < PATIENCE, "{name} took {:?}", started.elapsed());
        (name, refused.to_string().lines().map(str::to_owned).collect())
    };
    files.iter().map(tell).collect()
}

#[test]
fn every_case_is_refused_with_the_words_that_are_kept() {
    let told = told();
    assert!(told.len() >= CASES, "{} cases", told.len());
    let mut made = String::new();
    for (_, lines) in &told {
        lines.iter().take(LINES).for_each(|line| writeln!(made, "{line}").expect("a String takes it"));
        if let Some(more) = lines.len().checked_sub(LINES + 1) {
            writeln!(made, "  and {} more", more + 1).expect("a String takes it");
        }
        made.push('\n');
    }
    let path = directory().join("expected.txt");
    if std::env::var_os("SHADOWCAT_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (made, kept) in made.lines().zip(kept.lines()) {
        assert_eq!(made, kept, "if this is meant, run this test with SHADOWCAT_WRITE_GOLDEN=1");
    }
    assert_eq!(made.lines().count(), kept.lines().count(), "cases came or went: run it with SHADOWCAT_WRITE_GOLDEN=1");
}

#[test]
fn no_refusal_repeats_a_secret_or_a_whole_file() {
    for (name, lines) in told() {
        for line in lines {
            assert!(!line.contains("hunter2"), "{line}");
            assert!(line.len() < 1000, "{name} is repeated in what is said of it");
        }
    }
}
