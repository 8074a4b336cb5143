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
use crate::observe::ConfigMetrics;

/// A version that has run this long has not killed the process, whatever does so later.
pub(super) const TRIAL: Duration = Duration::from_secs(30);

/// A version that has run this long is good enough to go back to.
pub(super) const PROVEN: Duration = Duration::from_secs(60);

/// The note about a version that is about to be touched may take this long; a disk that needs longer gets none.
const NOTE_WAIT: Duration = Duration::from_millis(500);

/// What the disk did not take is tried again after this: somebody may have made room.
const SAVED_AGAIN_AFTER: Duration = Duration::from_secs(30);

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
    pub(super) fn new(disk: Disk, drain: Drain, metrics: ConfigMetrics) -> (Self, impl Future<Output = ()>) {
        let (wanted, wishes) = watch::channel(Wanted::default());
        let (note, noted) = watch::channel(None);
        let work =
            Work { disk: Arc::new(Mutex::new(disk)), wishes, note, metrics, running: None, saved: None, save_at: None };
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
    metrics: ConfigMetrics,
    /// What runs, since when, and the next moment at which that means something.
    running: Option<(ConfigRef, Instant, Option<Milestone>)>,
    /// What came over the line and is on disk.
    saved: Option<ConfigRef>,
    /// When it is tried again to save what runs.
    save_at: Option<Instant>,
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
                until(milestone.map(|(at, _)| at)).await;
                milestone.map(|(_, milestone)| milestone)
            };
            let save_at = self.save_at;
            tokio::select! {
                biased;
                changed = self.wishes.changed() => match changed {
                    Ok(()) => self.catch_up().await,
                    // The end of the drain may come with the first word of it.
                    Err(_nobody_tells) if drain.is_announced() => {
                        self.write(Disk::end_of_trial).await;
                        return;
                    }
                    Err(_nobody_tells) => return,
                },
                Some(milestone) = reached => self.reach(milestone).await,
                () = until(save_at) => self.save().await,
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
            };
            self.note.send_replace(noted);
        }
        let Some((version, since, _)) = running else { return };
        let known = self.running.as_ref().is_some_and(|(known, began, _)| *known == version && *began == since);
        if !known {
            self.running = Some((version, since, Some(Milestone::Harmless)));
        }
        self.save().await;
    }

    /// Keeps what runs, if it is not kept yet. What the disk did not take is tried again after [`SAVED_AGAIN_AFTER`].
    async fn save(&mut self) {
        let running = self.wishes.borrow().running.clone();
        // It came from this disk, or is on it by now.
        let Some((version, _, Some(canonical))) = running.filter(|(version, ..)| self.saved.as_ref() != Some(version))
        else {
            self.save_at = None;
            return;
        };
        let saving = version.clone();
        let saved = self.write(move |disk| disk.save(&saving, &canonical)).await;
        self.saved = saved.then_some(version);
        self.save_at = (!saved).then(|| Instant::now() + SAVED_AGAIN_AFTER);
        if saved { self.metrics.kept() } else { self.metrics.not_kept() }
    }

    async fn reach(&mut self, milestone: Milestone) {
        let Some((version, _, next)) = &mut self.running else { return };
        let version = version.clone();
        match milestone {
            Milestone::Harmless => {
                *next = Some(Milestone::Proven);
                // Another version may have been touched meanwhile; then the note is about that one.
                self.note.send_if_modified(|noted| noted.take_if(|noted| *noted == version).is_some());
                let survived = version.clone();
                self.write(move |disk| disk.survived(&survived)).await;
            }
            Milestone::Proven => {
                *next = None;
                let proven = version.clone();
                self.write(move |disk| disk.proven(&proven)).await;
            }
        }
    }

    /// False if the disk does not take it.
    async fn write(&self, act: impl FnOnce(&mut Disk) -> Result<(), DiskError> + Send + 'static) -> bool {
        let disk = Arc::clone(&self.disk);
        let act = move || act(&mut disk.lock().unwrap_or_else(PoisonError::into_inner));
        match tokio::task::spawn_blocking(act).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::error!(%error, "what runs is not kept for the next start"),
            Err(error) => tracing::error!(%error, "what runs is not kept for the next start"),
        }
        false
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Executor as _;
    use hyper_util::rt::TokioExecutor;
    use tempfile::TempDir;

    use super::*;
    use crate::fleet::testing::version;
    use crate::observe::Registry;

    /// A keeper at work, as in a node that just started, until its drain.
    fn at_work(directory: &TempDir) -> (Keeper, Drain, tokio::sync::oneshot::Receiver<()>) {
        at_work_with(directory, ConfigMetrics::new(&Registry::new()))
    }

    fn at_work_with(
        directory: &TempDir,
        metrics: ConfigMetrics,
    ) -> (Keeper, Drain, tokio::sync::oneshot::Receiver<()>) {
        let drain = Drain::default();
        let (keeper, work) = Keeper::new(Disk::open(directory.path()).unwrap(), drain.clone(), metrics);
        let (end, ended) = tokio::sync::oneshot::channel();
        TokioExecutor::new().execute(async move {
            work.await;
            let _ = end.send(());
        });
        (keeper, drain, ended)
    }

    /// What the file says, whoever holds the directory.
    fn boots(directory: &TempDir) -> serde_json::Value {
        let text = std::fs::read(directory.path().join("config/boots")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    async fn until(directory: &TempDir, holds: impl Fn(&serde_json::Value) -> bool) -> Instant {
        // Time is turned only while nothing else is to be done.
        while !holds(&boots(directory)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_disk_did_not_take_is_told_and_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let metrics = ConfigMetrics::new(&Registry::new());
        let (keeper, ..) = at_work_with(&directory, metrics.clone());
        let (config, aside) = (directory.path().join("config"), directory.path().join("aside"));
        std::fs::rename(&config, &aside).unwrap();
        let (first, canonical) = version(1, "/first");
        let began = Instant::now();
        keeper.runs(&first, Some(canonical));
        while metrics.is_kept() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        std::fs::rename(&aside, &config).unwrap();
        while !metrics.is_kept() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(began.elapsed() <= TRIAL + Duration::from_secs(1), "{:?}", began.elapsed());
        let kept = std::fs::read_dir(&config).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(kept.into_iter().any(|name| name.to_string_lossy().ends_with(".snapshot")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_is_on_trial_until_it_has_run_for_half_a_minute_and_proven_after_a_whole_one() {
        let directory = tempfile::tempdir().unwrap();
        let (keeper, ..) = at_work(&directory);
        let (first, canonical) = version(1, "/first");
        keeper.touch(&first).await;
        assert_eq!(boots(&directory)["trial"]["number"], 1, "it is noted before anybody touches it");
        let began = Instant::now();
        keeper.runs(&first, Some(canonical));
        let survived = until(&directory, |boots| boots["trial"].is_null()).await;
        let proven = until(&directory, |boots| boots["proven"][0] == first.to_string()).await;
        assert_eq!((survived - began).as_secs(), TRIAL.as_secs());
        assert_eq!((proven - began).as_secs(), PROVEN.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_stops_in_order_has_not_crashed() {
        let directory = tempfile::tempdir().unwrap();
        let (keeper, drain, ended) = at_work(&directory);
        let (first, canonical) = version(1, "/first");
        keeper.touch(&first).await;
        keeper.runs(&first, Some(canonical));
        let (no_time, no_connections) = (Duration::ZERO, tokio_util::task::TaskTracker::new());
        drain.run(no_time, no_time, &no_connections).await;
        ended.await.unwrap();
        assert!(boots(&directory)["trial"].is_null());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_used_after_all_leaves_the_running_version_on_its_trial() {
        let directory = tempfile::tempdir().unwrap();
        let (keeper, ..) = at_work(&directory);
        let ((first, canonical), (second, _)) = (version(1, "/first"), version(2, "/second"));
        keeper.touch(&first).await;
        keeper.runs(&first, Some(canonical));
        keeper.touch(&second).await;
        assert_eq!(boots(&directory)["trial"]["number"], 2);
        keeper.leave();
        until(&directory, |boots| boots["trial"]["number"] == 1).await;
        until(&directory, |boots| boots["trial"].is_null()).await;
    }
}
