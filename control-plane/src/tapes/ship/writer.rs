//! Gathers what many streams bring into few transactions: one wait for the disk serves them all.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;
use crate::tapes::index::{Committed, Index, SegmentRows};

/// Segments that wait for the writer. A stream that finds it full waits, and its node with it.
const QUEUE: usize = 64;

/// Segments of one transaction: few waits for the disk, and none of them long.
const BATCH_SEGMENTS: usize = 32;

/// Frames of one transaction, about: a second's work of either database on one core.
const BATCH_FRAMES: usize = 32_000;

/// A segment to be committed, and who waits for it.
type Job = (SegmentRows, oneshot::Sender<Result<Committed, StoreError>>);

/// The way to the writer. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Writer(mpsc::Sender<Job>);

/// What the writer's task needs.
pub(crate) struct Jobs(mpsc::Receiver<Job>);

/// A writer, and what its task is run with.
pub(crate) fn writer() -> (Writer, Jobs) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Writer(sender), Jobs(receiver))
}

impl Writer {
    /// Commits a segment, together with what else is there.
    pub(crate) async fn commit(&self, rows: SegmentRows) -> Result<Committed, StoreError> {
        let stopped = || StoreError::Unavailable("this replica of the control plane stops".to_owned());
        let (told, outcome) = oneshot::channel();
        self.0.send((rows, told)).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }
}

impl Jobs {
    /// Commits until `stop`, and what waits then.
    pub(crate) async fn run(mut self, index: Arc<dyn Index>, stop: CancellationToken) {
        while let Some(first) = stop.run_until_cancelled(self.0.recv()).await.flatten() {
            let mut batch = vec![first];
            let frames = |batch: &[Job]| batch.iter().map(|(rows, _)| rows.frames.len()).sum::<usize>();
            while batch.len() < BATCH_SEGMENTS && frames(&batch) < BATCH_FRAMES {
                match self.0.try_recv() {
                    Ok(job) => batch.push(job),
                    Err(_) => break,
                }
            }
            commit(index.as_ref(), batch).await;
        }
        self.0.close();
        while let Some(job) = self.0.recv().await {
            commit(index.as_ref(), vec![job]).await;
        }
    }
}

async fn commit(index: &dyn Index, batch: Vec<Job>) {
    let (rows, waiting): (Vec<SegmentRows>, Vec<_>) = batch.into_iter().unzip();
    match index.commit(&rows).await {
        Ok(committed) => {
            for (told, outcome) in waiting.into_iter().zip(committed) {
                // A stream that is gone will offer it again, and hear that it is stored.
                let _ = told.send(Ok(outcome));
            }
        }
        // What the database will not have of one segment does not hold up the others.
        Err(StoreError::Unkept(_)) if rows.len() > 1 => {
            for (told, rows) in waiting.into_iter().zip(rows) {
                let outcome = index.commit(std::slice::from_ref(&rows)).await;
                let _ = told.send(outcome.map(|committed| committed.into_iter().next().unwrap_or(Committed::Again)));
            }
        }
        Err(StoreError::Unkept(why)) => {
            for told in waiting {
                let _ = told.send(Err(StoreError::Unkept(why.clone())));
            }
        }
        Err(error) => {
            let why = error.to_string();
            for told in waiting {
                let _ = told.send(Err(StoreError::Unavailable(why.clone())));
            }
        }
    }
}
