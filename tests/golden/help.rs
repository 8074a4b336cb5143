//! Every help text of a program: what `--help` tells of it and of each command below it, and what the shorter `-h` does.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::golden::Golden;

/// Compares every help text of `program` with the files in `tests/golden/help`.
pub(crate) fn is_as_it_was(program: &str) {
    let mut golden = Golden::new("help");
    let mut commands = vec![Vec::new()];
    while let Some(words) = commands.pop() {
        let long = told(program, &words, "--help");
        let name = if words.is_empty() { name_of(program) } else { words.join("-") };
        golden.compare(&format!("{name}-short"), &told(program, &words, "-h"));
        golden.compare(&name, &long);
        // What tells how to be told more has nothing below it.
        commands.extend(listed(&long).filter(|below| *below != "help").map(|below| {
            let mut words = words.clone();
            words.push(below.to_owned());
            words
        }));
    }
    golden.finish();
}

/// What the program prints, whoever runs it and wherever: no variable is set, and nothing is a terminal whose width counts.
fn told(program: &str, words: &[String], flag: &str) -> String {
    let mut command = Command::new(program);
    command.env_clear().args(words).arg(flag).stdin(Stdio::null());
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{words:?} {flag}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The commands that a help text lists, each at the start of a line that is indented by two.
fn listed(help: &str) -> impl Iterator<Item = &str> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let indented = section.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    indented.filter_map(|line| line.split(' ').next())
}

fn name_of(program: &str) -> String {
    let stem = Path::new(program).file_stem().expect("a program is a file");
    stem.to_string_lossy().into_owned()
}
