//! What a process and those it started have used, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// What a process and those it started have used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
}

impl Usage {
    /// Of a process and all that descend from it. Those that ended meanwhile are not charged: none here does.
    pub(crate) fn of_family(root: u32) -> anyhow::Result<Self> {
        let mut usage = Self::default();
        for pid in family(root)? {
            usage.cpu += Stat::read(pid)?.cpu;
            usage.resident += resident(pid)?;
        }
        Ok(usage)
    }
}

/// A process and all that descend from it.
pub(crate) fn family(root: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Others on the machine come and go while we look.
        if let Ok(stat) = Stat::read(pid) {
            parents.push((pid, stat.parent));
        }
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
        next += 1;
    }
    Ok(family)
}

/// What matters here of `/proc/PID/stat`, see `proc(5)`.
struct Stat {
    parent: u32,
    cpu: Duration,
}

impl Stat {
    fn read(pid: u32) -> anyhow::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).with_context(|| format!("/proc/{pid}/stat is not as proc(5) says"))
    }

    fn parse(text: &str) -> Option<Self> {
        /// Fields are counted from the one after the name, which is in parentheses and may hold anything.
        const PARENT: usize = 1;
        const USER_TIME: usize = 11;
        const SYSTEM_TIME: usize = 12;
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_ascii_whitespace().collect();
        let ticks = fields.get(USER_TIME)?.parse::<u64>().ok()? + fields.get(SYSTEM_TIME)?.parse::<u64>().ok()?;
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        Some(Self {
            parent: fields.get(PARENT)?.parse().ok()?,
            cpu: Duration::from_secs_f64(ticks as f64 / ticks_per_second),
        })
    }
}

/// `VmRSS` in bytes.
fn resident(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process without VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_charged_with_those_it_started() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 5 & echo started; wait"]).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let family = family(shell.id()).unwrap();
        let all = Usage::of_family(shell.id()).unwrap().resident;
        assert_eq!(family.len(), 2, "a shell and its child");
        assert!(all > resident(shell.id()).unwrap());
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields_of_stat() {
        let stat = Stat::parse("7 (a (b) c) S 3 7 7 0 -1 4194560 1 0 0 0 30 20 0 0").unwrap();
        assert_eq!(stat.parent, 3);
        assert!(stat.cpu > Duration::ZERO);
    }
}
