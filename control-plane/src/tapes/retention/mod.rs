//! Forgets what recordings keep no longer, and what operators delete.
//!
//! - [`policy`]: how long a fleet's recordings are kept, as its current configuration says.
//! - [`sweep`]: objects that the index has never heard of, once a day.
//! - [`rewrite`]: a segment without the lines that are gone from the index.
//!
//! One replica at a time passes over everything, once a minute and after an operator's order: shares that are due lose their rows;
//! objects with deleted lines are written anew; what nothing refers to any more is deleted last. The index lists an object as discarded in
//! the transaction that takes its last row, and before it is written where it is new, so that a pass may end between any two steps: the
//! next one goes on.
//!
//! Invariants:
//! - A fleet whose configuration is not known, because there is none or nobody can read it, loses nothing.
//! - A recording that is gone from the configuration is kept as it last said, and traffic of no recording as one that says nothing.
//! - What is on hold stays, whatever its recording says, and counts to no size.
//! - Each transaction is about one segment, and others get their turn between two of them.
//!
//! Not here: rows ([`index::Upkeep`](super::index::Upkeep)). A time is that of a record by its node's clock: records of a clock that is a
//! year ahead stay a year longer, unless their recording has a size.

mod policy;
mod rewrite;
mod sweep;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use shadowcat_config::Retention as Kept;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::policy::{Policies, Policy};
use super::blobs::{BlobError, Blobs};
use super::index::{Index, KeptRecording, Removal, Share, Which, Why};
use crate::observe::Metrics;
use crate::store::{Store, StoreError};

/// The first pass waits for nodes that come back to a control plane that has just started.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// Between two passes: the shortest time that a recording can be kept.
const PASS_EVERY: Duration = Duration::from_secs(60);

/// Between two looks at every object: few are ever found, and an object store takes a request for each thousand.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The first one waits, so that a control plane that is started again and again does not go over everything each time.
const SWEEP_AFTER: Duration = Duration::from_secs(60 * 60);

/// Between two transactions, so that commits of traffic go between: a hundred segments a second are forgotten, ten times what twenty busy
/// nodes record.
const BREATH: Duration = Duration::from_millis(5);

/// Shares, segments and objects that are looked up at once.
const AT_ONCE: u32 = 100;

/// A message stays so long after the last segment that referred to it, and after a node was last told that it need not send it: that
/// node's segment is stored, or its stream ends, long before, by whichever replica's clock. A commit that is later still is refused.
const MESSAGES_STAY: Duration = Duration::from_secs(60 * 60);

/// An object that was taken to be deleted is so within this time, or not before it is taken again: whoever wants it waits for some minutes.
const DELETION_BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// Microseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Forgets. See the module.
pub struct Retention {
    blobs: Blobs,
    index: Arc<dyn Index>,
    policies: Policies,
    metrics: Metrics,
    clock: Clock,
}

/// Whether a pass went over everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// It did.
    Here,
    /// Another replica is at it.
    Elsewhere,
}

/// Why a pass did not do everything. The next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// A database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place for bytes.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// A segment.
    #[error("segment {0} cannot be written anew: {1}")]
    Segment(String, String),
}

impl Retention {
    /// Over these places. `store` says what fleets configure.
    #[must_use]
    pub fn new(blobs: Blobs, index: Arc<dyn Index>, store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { blobs, index, policies: Policies::new(store), metrics: Metrics::new(), clock }
    }

    /// The same, counted here.
    pub(crate) fn counted(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Passes again and again until `stop`, and at once when it is woken.
    pub(crate) async fn run(self, wake: Arc<Notify>, stop: CancellationToken) {
        let (mut wait, mut sweep_at) = (FIRST_AFTER, Instant::now() + SWEEP_AFTER);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = wake.notified() => {}
                () = sleep(wait) => {}
            }
            if let Some(Err(error)) = stop.run_until_cancelled(self.pass()).await {
                tracing::warn!(%error, "recorded traffic that is to be forgotten is still there");
            }
            if Instant::now() >= sweep_at {
                if let Some(Err(error)) = stop.run_until_cancelled(self.sweep()).await {
                    tracing::warn!(%error, "objects that nothing refers to were not looked for");
                }
                sweep_at = Instant::now() + SWEEP_EVERY;
            }
            wait = PASS_EVERY;
        }
    }

    /// Goes over everything once. May be dropped at any point.
    ///
    /// # Errors
    /// The first thing that could not be done; what does not depend on it was.
    pub async fn pass(&self) -> Result<Passed, Unfinished> {
        let Some(_turn) = self.index.turn().await? else { return Ok(Passed::Elsewhere) };
        let mut done = Ok(());
        for fleet in self.index.fleets_kept().await? {
            done = done.and(self.fleet(&fleet).await);
        }
        done = done.and(self.rewrite().await);
        done = done.and(self.messages().await);
        done = done.and(self.collect().await);
        done = done.and(self.words().await);
        self.index.drop_empty_days().await?;
        done.map(|()| Passed::Here)
    }

    async fn fleet(&self, fleet: &str) -> Result<(), Unfinished> {
        let Some(policy) = self.policies.of(fleet).await? else { return Ok(()) };
        let mut done = Ok(());
        for recording in self.index.recordings_kept(fleet).await? {
            done = done.and(self.recording(&policy, &recording).await);
        }
        done
    }

    async fn recording(&self, policy: &Policy, of: &KeptRecording) -> Result<(), Unfinished> {
        let Kept { keep, max_size } = self.kept(policy, of).await?;
        let done = self.by_age(of, keep).await;
        match max_size {
            Some(max) => done.and(self.by_size(of, max).await),
            None => done,
        }
    }

    /// What holds for a recording, noted for when the configuration has it no more.
    async fn kept(&self, policy: &Policy, of: &KeptRecording) -> Result<Kept, Unfinished> {
        let Some(said) = policy.get(&of.name).copied() else { return Ok(of.said.unwrap_or_default()) };
        if of.said != Some(said) {
            self.index.note_retention(of, said).await?;
        }
        Ok(said)
    }

    /// A share that cannot be removed is the oldest in every pass: it holds up no other.
    async fn by_age(&self, of: &KeptRecording, keep: Duration) -> Result<(), Unfinished> {
        let (before, mut done, mut after) = (self.ago(keep), Ok(()), Share::BEGINNING);
        loop {
            let due = self.index.shares(of, after, before, AT_ONCE).await?;
            for share in &due {
                done = done.and(self.remove(share, Why::Age).await.map(drop));
                after = share.place();
            }
            if due.len() < AT_ONCE as usize {
                return done;
            }
        }
    }

    /// As [`by_age`](Self::by_age). What cannot be removed now is removed later, and nothing that is newer goes in its place.
    async fn by_size(&self, of: &KeptRecording, max: u64) -> Result<(), Unfinished> {
        let (mut done, mut after, mut left_over) = (Ok(()), Share::BEGINNING, 0_u64);
        loop {
            // Counted anew each time: a message that other segments refer to goes on to them, and is not gone with the first.
            let mut beyond = self.index.stored_bytes(of).await?.saturating_sub(max).saturating_sub(left_over);
            if beyond == 0 {
                return done;
            }
            let oldest = self.index.shares(of, after, i64::MAX, AT_ONCE).await?;
            if oldest.is_empty() {
                return done;
            }
            for share in oldest {
                if beyond == 0 {
                    break;
                }
                let freed = match self.remove(&share, Why::Size).await {
                    Ok(freed) => freed,
                    Err(error) => {
                        left_over = left_over.saturating_add(share.stored_bytes);
                        done = done.and(Err(error));
                        0
                    }
                };
                beyond = beyond.saturating_sub(share.stored_bytes.saturating_add(freed));
                after = share.place();
            }
        }
    }

    /// Removes a share: bytes of messages that count no more to its recording.
    async fn remove(&self, share: &Share, why: Why) -> Result<u64, Unfinished> {
        let removal = Removal { segment: share.segment, which: Which::Recording(share.recording), why };
        let removed = self.index.remove(&removal, (self.clock)()).await?;
        if let Some((fleet, bytes)) = removed.segment {
            self.metrics.segment_deleted(&fleet, why.as_str(), bytes);
        }
        sleep(BREATH).await;
        Ok(removed.freed)
    }

    /// One segment that cannot be written anew holds up no other.
    async fn rewrite(&self) -> Result<(), Unfinished> {
        let (mut done, mut last) = (Ok(()), i64::MIN);
        loop {
            let segments = self.index.to_rewrite(last, AT_ONCE).await?;
            let Some(next) = segments.last() else { return done };
            last = *next;
            for segment in segments {
                done = done.and(self.rewrite_one(segment).await);
                sleep(BREATH).await;
            }
        }
    }

    async fn messages(&self) -> Result<(), Unfinished> {
        while self.index.discard_messages(self.ago(MESSAGES_STAY), (self.clock)(), AT_ONCE).await? == u64::from(AT_ONCE)
        {
            sleep(BREATH).await;
        }
        Ok(())
    }

    /// Names, of resources and of callers, that nothing has any more.
    async fn words(&self) -> Result<(), Unfinished> {
        let mut after = i64::MIN;
        while let Some(last) = self.index.forget_words(after, AT_ONCE).await? {
            after = last;
            sleep(BREATH).await;
        }
        Ok(())
    }

    /// Deletes what is discarded. What cannot be deleted ends this pass, and is tried again in a later one, behind what is due before.
    async fn collect(&self) -> Result<(), Unfinished> {
        loop {
            let due = self.index.discarded((self.clock)(), AT_ONCE).await?;
            let taken_at = Instant::now();
            let taken = self.index.take_discarded(&due, (self.clock)()).await?;
            let (mut gone, mut failed) = (Vec::with_capacity(taken.len()), Ok(()));
            for object in taken {
                // The rest comes due again.
                if taken_at.elapsed() > DELETION_BEGINS_WITHIN {
                    break;
                }
                match self.blobs.delete(&Path::from(object.as_str())).await {
                    Ok(()) => gone.push(object),
                    Err(error) => failed = failed.and(Err(error)),
                }
            }
            self.index.forget(&gone).await?;
            failed?;
            if due.len() < AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    fn ago(&self, span: Duration) -> i64 {
        (self.clock)().saturating_sub(micros(span))
    }
}

impl fmt::Debug for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retention").field("blobs", &self.blobs).finish_non_exhaustive()
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
