//! Where and of what figures were taken: without this they are adjectives.

use std::fmt;
use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context as _, ensure};
use serde::Serialize;

/// Results are not what was measured.
const EXCEPT_RESULTS: &str = ":(top,exclude)benches/results";

/// Where and of what figures were taken.
#[derive(Serialize)]
pub(crate) struct Origin {
    /// The day, in UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    /// What reproduces them.
    command: String,
    commit: String,
    /// Whether the source differed from the commit.
    dirty: bool,
    /// What was measured against, and how to read it.
    remarks: Vec<String>,
}

/// A machine, without naming it.
#[derive(Serialize)]
pub(crate) struct Machine {
    /// Short, for file names.
    pub(crate) name: String,
    cpu: String,
    cores: usize,
    kernel: String,
    memory: String,
    /// The load averages before the first round: above a few tenths, others were at work too.
    load_before: String,
}

impl Origin {
    /// Reads it from the system and git; `remarks` come with it.
    pub(crate) fn read(remarks: Vec<String>) -> anyhow::Result<Self> {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        Ok(Self {
            date: said_by("date", &["-u", "+%F"])?,
            machine: Machine::read()?,
            command: format!("cargo run --release -p shadowcat-benches -- {}", arguments.join(" ")),
            commit: said_by("git", &["rev-parse", "HEAD"])?,
            dirty: !said_by("git", &["status", "--porcelain", "--", ":/", EXCEPT_RESULTS])?.is_empty(),
            remarks,
        })
    }
}

impl Machine {
    fn read() -> anyhow::Result<Self> {
        let cpu = field_of("/proc/cpuinfo", "model name")?;
        let cores = available_parallelism()?.get();
        Ok(Self {
            name: format!("{}-{cores}-cores", file_name(&cpu)),
            cpu,
            cores,
            kernel: said_by("uname", &["-srm"])?,
            memory: field_of("/proc/meminfo", "MemTotal")?,
            load_before: fs::read_to_string("/proc/loadavg")?.split(' ').take(3).collect::<Vec<_>>().join(" "),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { name, cpu, cores, kernel, memory, load_before } = &self.machine;
        let dirty = if self.dirty { ", with changes that are not committed" } else { "" };
        writeln!(f, "# {name}, {}\n", self.date)?;
        writeln!(f, "- `{}`", self.command)?;
        writeln!(f, "- commit {}{dirty}", self.commit)?;
        writeln!(f, "- {cores} cores ({cpu}), {memory} of memory, {kernel}, load before: {load_before}")?;
        self.remarks.iter().try_for_each(|remark| writeln!(f, "- {remark}"))
    }
}

fn said_by(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The first value of a field in one of the kernel's `name: value` files.
fn field_of(file: &str, name: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    Ok(value.with_context(|| format!("{file} does not tell {name}"))?.trim().to_owned())
}

fn file_name(text: &str) -> String {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
