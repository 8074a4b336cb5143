//! What was found, for people.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Found;
use super::targets::TARGETS;
use crate::machine::Origin;
use crate::table::{Table, figure};
use crate::target;
use crate::values::quantile;

const MEGABYTE: f64 = 1_000_000.0;

/// Writes the report to `directory`; its path.
pub(super) fn write(origin: &Origin, found: &[Found], directory: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let path = directory.join(format!("{}-ingest-{}.md", origin.machine.name, origin.date));
    fs::write(&path, to_markdown(origin, found)).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Tables.
pub(super) fn to_markdown(origin: &Origin, found: &[Found]) -> String {
    let sections = [
        ("Stored", stored(found)),
        ("Found", asked(found)),
        ("Bytes for each frame", bytes(found)),
        ("Targets", target::table(TARGETS, found)),
    ];
    let mut text = origin.to_string();
    for (title, table) in sections {
        text.push_str(&format!("\n## {title}\n\n{table}"));
    }
    text
}

fn stored(found: &[Found]) -> Table {
    let mut table =
        Table::new(&["index in", "frames", "seconds", "frames/s", "in the slowest minute", "CPU µs", "RSS MB"]);
    for found in found {
        for run in &found.runs {
            table.row([
                found.database.to_string(),
                run.frames.to_string(),
                figure(Some(run.seconds), 1),
                figure(Some(run.frames as f64 / run.seconds), 0),
                figure(run.slowest, 0),
                figure(Some(run.cpu_us), 1),
                figure(Some(run.resident as f64 / MEGABYTE), 1),
            ]);
        }
    }
    table
}

fn asked(found: &[Found]) -> Table {
    let mut table = Table::new(&["latest 50", "index in", "frames", "p50 ms", "p95 ms", "longest ms", "found each"]);
    for found in found {
        for asked in &found.asked {
            let ms = |share| figure(quantile(&asked.ms, share), 1);
            table.row([
                asked.question.words().to_owned(),
                found.database.to_string(),
                asked.frames.to_string(),
                ms(0.50),
                ms(0.95),
                ms(1.0),
                figure(Some(asked.found as f64 / asked.ms.len() as f64), 1),
            ]);
        }
    }
    table
}

fn bytes(found: &[Found]) -> Table {
    let mut table = Table::new(&["index in", "recorded", "objects", "index", "objects and index"]);
    for found in found {
        let all = [found.plain_bytes, found.object_bytes, found.index_bytes, found.object_bytes + found.index_bytes];
        table.row([found.database.to_string()].into_iter().chain(all.map(|bytes| figure(Some(bytes), 0))));
    }
    table
}
