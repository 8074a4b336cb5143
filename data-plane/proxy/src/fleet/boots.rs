//! The memory of starts: which versions ran, which is on trial, which has proven itself, which are refused. A small JSON file that
//! may be lost: then the newest snapshot is taken, and nothing has proven itself.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use shadowcat_config::ConfigRef;

/// Versions that did harm that are remembered; the oldest is forgotten, and would be refused again after it has done harm again.
const REFUSED_MAX: usize = 16;

/// Versions remembered in any other list: those of which a snapshot is kept, and the next.
const REMEMBERED_MAX: usize = 4;

/// Bytes of the longest file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What is remembered from start to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Boots {
    /// Snapshots in the order in which they ran, the last first.
    ran: Vec<String>,
    /// Snapshots to go back to, the last first.
    pub(super) proven: Vec<String>,
    /// What was touched last and has not yet shown that it does no harm.
    pub(super) trial: Option<ConfigRef>,
    /// How often the process died under a version that was on trial, until it shows that it does no harm.
    crashes: Vec<(ConfigRef, u32)>,
    pub(super) refused: Vec<ConfigRef>,
}

/// The name of a version's file.
pub(super) fn stem(version: &ConfigRef) -> String {
    version.to_string()
}

impl Boots {
    /// What the file says; nothing if it is not whole.
    pub(super) fn read(path: &Path) -> Self {
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text));
        let written = read.ok().and_then(|_| serde_json::from_slice::<Written>(&text).ok());
        written.and_then(Written::read).unwrap_or_default()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&Written::of(self)).unwrap_or_default()
    }

    /// `stems` in the order in which they are to be tried: as they ran; then what nobody remembers, as it came.
    pub(super) fn order(&self, stems: Vec<String>) -> VecDeque<String> {
        let (mut known, unknown): (Vec<_>, Vec<_>) = stems.into_iter().partition(|stem| self.ran.contains(stem));
        known.sort_by_key(|stem| self.ran.iter().position(|ran| ran == stem));
        // After a return, what proved itself comes before what merely ran.
        let refused: Vec<_> = self.refused.iter().map(stem).collect();
        let went_back = self.ran.first().is_some_and(|last| refused.contains(last));
        if went_back {
            known.sort_by_key(|stem| !self.proven.contains(stem));
        }
        known.into_iter().chain(unknown).collect()
    }

    pub(super) fn has_proven(&self, version: &ConfigRef) -> bool {
        self.proven.contains(&stem(version))
    }

    /// Counts a death under `version`; how often that was by now.
    pub(super) fn died_under(&mut self, version: &ConfigRef) -> u32 {
        let before = self.crashes.iter().position(|(known, _)| known == version).map(|at| self.crashes.remove(at).1);
        let crashes = before.unwrap_or(0).saturating_add(1);
        self.crashes.push((version.clone(), crashes));
        let beyond = self.crashes.len().saturating_sub(REFUSED_MAX);
        self.crashes.drain(..beyond);
        crashes
    }

    /// `version` does no harm. Another one may be on trial by now.
    pub(super) fn survived(&mut self, version: &ConfigRef) {
        self.crashes.retain(|(known, _)| known != version);
        self.trial.take_if(|trial| trial == version);
    }

    pub(super) fn refuse(&mut self, version: ConfigRef) {
        self.refused.retain(|refused| *refused != version);
        self.refused.push(version);
        let beyond = self.refused.len().saturating_sub(REFUSED_MAX);
        self.refused.drain(..beyond);
    }

    pub(super) fn ran(&mut self, stem: &str) {
        to_front(&mut self.ran, stem);
    }

    pub(super) fn prove(&mut self, version: &ConfigRef) {
        to_front(&mut self.proven, &stem(version));
    }

    pub(super) fn forget_all_but(&mut self, kept: &[String]) {
        self.ran.retain(|stem| kept.contains(stem));
        self.proven.retain(|stem| kept.contains(stem));
    }
}

fn to_front(list: &mut Vec<String>, stem: &str) {
    list.retain(|listed| listed != stem);
    list.insert(0, stem.to_owned());
    list.truncate(REMEMBERED_MAX);
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    ran: Vec<String>,
    proven: Vec<String>,
    trial: Option<WrittenRef>,
    crashes: Vec<(WrittenRef, u32)>,
    refused: Vec<WrittenRef>,
    /// SHA-256 of the rest, with this empty.
    checksum: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRef {
    epoch: String,
    number: u64,
    digest: String,
}

/// The layout of the file.
const FORMAT: u32 = 1;

impl Written {
    fn of(boots: &Boots) -> Self {
        let version = |version: &ConfigRef| WrittenRef {
            epoch: version.epoch.clone(),
            number: version.number,
            digest: version.digest.to_string(),
        };
        let mut written = Self {
            format: FORMAT,
            ran: boots.ran.clone(),
            proven: boots.proven.clone(),
            trial: boots.trial.as_ref().map(version),
            crashes: boots.crashes.iter().map(|(died_under, crashes)| (version(died_under), *crashes)).collect(),
            refused: boots.refused.iter().map(version).collect(),
            checksum: String::new(),
        };
        written.checksum = written.sum();
        written
    }

    fn sum(&self) -> String {
        shadowcat_config::digest(&serde_json::to_vec(self).unwrap_or_default()).to_string()
    }

    fn read(mut self) -> Option<Boots> {
        let checksum = std::mem::take(&mut self.checksum);
        if self.format != FORMAT || checksum != self.sum() {
            return None;
        }
        let version = |version: WrittenRef| {
            let digest = version.digest.parse().ok()?;
            Some(ConfigRef { epoch: version.epoch, number: version.number, digest })
        };
        let crashes = self.crashes.into_iter().map(|(died_under, crashes)| Some((version(died_under)?, crashes)));
        let crashes = crashes.collect::<Option<_>>()?;
        let trial = match self.trial {
            Some(trial) => Some(version(trial)?),
            None => None,
        };
        let refused = self.refused.into_iter().map(version).collect::<Option<_>>()?;
        Some(Boots { ran: self.ran, proven: self.proven, trial, crashes, refused })
    }
}
