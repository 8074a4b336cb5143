//! What the reaper process does: it waits for its gateway to die, and then ends what the gateway left.
//!
//! Plain blocking code: there is one thread and nothing else to do.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

use super::{MARKER, TERM_GRACE};

/// How often the reaper looks whether the groups are gone already.
const POLL: Duration = Duration::from_millis(10);

/// Looks at the process table. One finds what is there, the next what was being started meanwhile; more are for what
/// starts processes faster than it is killed, which ends here.
const SWEEPS: usize = 10;

/// Reads the gateway's lines until it is gone, and ends what is left.
pub(super) fn run(lines: impl BufRead, instance: &OsStr) {
    end(&left(lines));
    sweep(instance);
}

/// The groups that came and did not go, once there is no further line.
fn left(lines: impl BufRead) -> BTreeSet<i32> {
    let mut groups = BTreeSet::new();
    for line in lines.lines().map_while(Result::ok) {
        // 0 and 1 would be this group and init's: no line of ours, but what a stray byte could make of one.
        match line.split_at_checked(1).map(|(sign, number)| (sign, number.parse::<i32>())) {
            Some(("+", Ok(group))) if group > 1 => _ = groups.insert(group),
            Some(("-", Ok(group))) => _ = groups.remove(&group),
            _ => {}
        }
    }
    groups
}

fn end(groups: &BTreeSet<i32>) {
    let groups: Vec<Pid> = groups.iter().copied().filter_map(Pid::from_raw).collect();
    signal(&groups, Signal::TERM);
    let deadline = Instant::now() + TERM_GRACE;
    while groups.iter().any(|&group| test_kill_process_group(group).is_ok()) && Instant::now() < deadline {
        pause();
    }
    signal(&groups, Signal::KILL);
}

/// Signals groups; one that is gone meanwhile is what was wanted.
fn signal(groups: &[Pid], signal: Signal) {
    for &group in groups {
        let _ = kill_process_group(group, signal);
    }
}

/// Kills every process that carries the marker. Where there is no `/proc` the groups have to do.
fn sweep(instance: &OsStr) {
    let marker = [MARKER.as_bytes(), b"=", instance.as_bytes()].concat();
    for _ in 0..SWEEPS {
        let found = marked(&marker);
        if found.is_empty() {
            return;
        }
        for process in found {
            let _ = kill_process(process, Signal::KILL);
        }
        pause();
    }
}

fn marked(marker: &[u8]) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|number| carries(*number, marker)).filter_map(Pid::from_raw).collect()
}

/// A process of somebody else cannot be read, and one that is gone already reads as empty.
fn carries(process: i32, marker: &[u8]) -> bool {
    fs::read(format!("/proc/{process}/environ"))
        .is_ok_and(|environment| environment.split(|&byte| byte == 0).any(|variable| variable == marker))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this process has one thread, no runtime, and nothing to wait on but time"
)]
fn pause() {
    std::thread::sleep(POLL);
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn what_came_and_did_not_go_is_left() {
        assert_eq!(left(&b"+10\n+11\n-10\n+12\n"[..]).into_iter().collect::<Vec<_>>(), [11, 12]);
    }

    #[test]
    fn lines_that_name_no_group_of_ours_are_passed_over() {
        assert!(left(&b"+0\n+1\n+-5\n\nx\n+\n\xff\n"[..]).is_empty());
    }
}
