//! Keeps on disk what runs, behind the back of whoever changes it.
//!
//! One task owns the [`Disk`]. It is told the newest state and writes that; states it was too slow for are left out. Invariant: nobody
//! waits for a disk longer than [`NOTE_WAIT`]: a node with a full or broken one goes on as before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shadowcat_config::ConfigRef;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::disk::{Disk, DiskError};
use crate::drain::Drain;

/// A version that has run this long has not killed the process, whatever does so later.
pub(super) const TRIAL: Duration = Duration::from_secs(30);

/// A version that has run this long is good enough to go back to.
pub(super) const PROVEN: Duration = Duration::from_secs(60);

/// The note about a version that is about to be touched may take this long; a disk that needs longer gets none.
const NOTE_WAIT: Duration = Duration::from_millis(500);

/// What is to be on disk.
#[derive(Debug, Clone, Default)]
struct Wanted {
    /// A version that was touched and is not in use.
    trial: Option<ConfigRef>,
    /// What runs, since when, and its bytes if they are not on disk yet.
    running: Option<(ConfigRef, Instant, Option<Bytes>)>,
}

/// Tells the task; dropping it ends the task.
#[derive(Debug)]
pub(super) struct Keeper {
    wanted: watch::Sender<Wanted>,
    noted: watch::Receiver<Option<ConfigRef>>,
}

impl Keeper {
    /// The handle, and the task's work.
    pub(super) fn new(disk: Disk, drain: Drain) -> (Self, impl Future<Output = ()>) {
        let (wanted, wishes) = watch::channel(Wanted::default());
        let (note, noted) = watch::channel(None);
        let work = Work { disk: Arc::new(Mutex::new(disk)), wishes, note, running: None, saved: None };
        (Self { wanted, noted }, work.run(drain))
    }

    /// Notes that `version` is about to be touched, and returns when the note is made, or will not be.
    pub(super) async fn touch(&self, version: &ConfigRef) {
        self.wanted.send_modify(|wanted| wanted.trial = Some(version.clone()));
        let mut noted = self.noted.clone();
        let made = noted.wait_for(|noted| noted.as_ref() == Some(version));
        if timeout(NOTE_WAIT, made).await.is_err() {
            tracing::warn!(%version, "the disk is slow: if this version kills the process, nobody will know");
        }
    }

    /// What was touched will not be used; what runs may still be on trial.
    pub(super) fn leave(&self) {
        self.wanted.send_modify(|wanted| {
            let running = wanted.running.as_ref();
            wanted.trial = running.filter(|(_, since, _)| since.elapsed() < TRIAL).map(|(version, ..)| version.clone());
        });
    }

    /// `version` runs from now on; `canonical` is absent if it came from this disk.
    pub(super) fn runs(&self, version: &ConfigRef, canonical: Option<Bytes>) {
        self.wanted.send_modify(|wanted| {
            wanted.trial = Some(version.clone());
            wanted.running = Some((version.clone(), Instant::now(), canonical));
        });
    }
}

struct Work {
    disk: Arc<Mutex<Disk>>,
    wishes: watch::Receiver<Wanted>,
    note: watch::Sender<Option<ConfigRef>>,
    /// What runs, since when, and the next moment at which that means something.
    running: Option<(ConfigRef, Instant, Option<Milestone>)>,
    saved: Option<ConfigRef>,
}

/// What a version reaches by running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Milestone {
    Harmless,
    Proven,
}

impl Milestone {
    const fn after(self) -> Duration {
        match self {
            Self::Harmless => TRIAL,
            Self::Proven => PROVEN,
        }
    }
}

impl Work {
    async fn run(mut self, drain: Drain) {
        loop {
            let milestone =
                self.running.as_ref().and_then(|(_, since, next)| next.map(|next| (*since + next.after(), next)));
            let reached = async {
                match milestone {
                    Some((at, milestone)) => {
                        sleep_until(at).await;
                        milestone
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = self.wishes.changed() => match changed {
                    Ok(()) => self.catch_up().await,
                    Err(_nobody_tells) => return,
                },
                milestone = reached => self.reach(milestone).await,
                () = drain.announced() => {
                    // Whoever is told to stop has not crashed.
                    self.write(Disk::end_of_trial).await;
                    return;
                }
            }
        }
    }

    /// Writes what is wanted now.
    async fn catch_up(&mut self) {
        let Wanted { trial, running } = self.wishes.borrow_and_update().clone();
        if *self.note.borrow() != trial {
            let noted = trial.clone();
            match trial {
                Some(version) => self.write(move |disk| disk.trial(&version)).await,
                None => self.write(Disk::end_of_trial).await,
            }
            self.note.send_replace(noted);
        }
        let Some((version, since, canonical)) = running else { return };
        let known = self.running.as_ref().is_some_and(|(known, began, _)| *known == version && *began == since);
        if !known {
            self.running = Some((version.clone(), since, Some(Milestone::Harmless)));
        }
        if let Some(canonical) = canonical.filter(|_| self.saved.as_ref() != Some(&version)) {
            self.saved = Some(version.clone());
            self.write(move |disk| disk.save(&version, &canonical)).await;
        }
    }

    async fn reach(&mut self, milestone: Milestone) {
        let Some((version, _, next)) = &mut self.running else { return };
        let version = version.clone();
        match milestone {
            Milestone::Harmless => {
                *next = Some(Milestone::Proven);
                // Another version may have been touched meanwhile; then the note is about that one.
                self.note.send_if_modified(|noted| noted.take_if(|noted| *noted == version).is_some());
                self.write(move |disk| disk.survived(&version)).await;
            }
            Milestone::Proven => {
                *next = None;
                self.write(move |disk| disk.proven(&version)).await;
            }
        }
    }

    async fn write(&self, act: impl FnOnce(&mut Disk) -> Result<(), DiskError> + Send + 'static) {
        let disk = Arc::clone(&self.disk);
        let act = move || act(&mut disk.lock().unwrap_or_else(PoisonError::into_inner));
        match tokio::task::spawn_blocking(act).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "what runs is not kept for the next start"),
            Err(error) => tracing::error!(%error, "what runs is not kept for the next start"),
        }
    }
}
