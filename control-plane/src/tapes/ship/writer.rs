//! Gathers what many streams bring into few transactions: one wait for the disk serves them all.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;
use crate::tapes::index::{Committed, Index, SegmentRows};

/// Segments that wait for the writer. A stream that finds it full waits, and its node with it.
const QUEUE: usize = 64;

/// Segments of one transaction: few waits for the disk, and none of them long.
const BATCH_SEGMENTS: usize = 32;

/// Frames of one transaction, about, and what else takes as long: a second's work of either database on one core. A segment that has
/// more is committed alone.
const BATCH_WEIGHT: usize = 32_000;

/// How long a batch is halved that takes too long: what is left then is told so, and comes again when the database is better off.
const HALVED_FOR: Duration = Duration::from_secs(25);

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
        let mut left_over = None;
        loop {
            let first = match left_over.take() {
                Some(job) => Some(job),
                None => stop.run_until_cancelled(self.0.recv()).await.flatten(),
            };
            let Some(first) = first else { break };
            let (batch, over) = self.batch(first);
            left_over = over;
            commit(index.as_ref(), batch).await;
        }
        self.0.close();
        while let Some(job) = self.0.recv().await {
            commit(index.as_ref(), vec![job]).await;
        }
    }

    /// What goes into one transaction with a segment, and one that would have been too much for it.
    fn batch(&mut self, first: Job) -> (Vec<Job>, Option<Job>) {
        let (mut weight, mut batch) = (first.0.weight(), vec![first]);
        while batch.len() < BATCH_SEGMENTS {
            let Ok(job) = self.0.try_recv() else { break };
            weight += job.0.weight();
            if weight > BATCH_WEIGHT {
                return (batch, Some(job));
            }
            batch.push(job);
        }
        (batch, None)
    }
}

async fn commit(index: &dyn Index, batch: Vec<Job>) {
    let (rows, waiting): (Vec<SegmentRows>, Vec<_>) = batch.into_iter().unzip();
    let outcomes = commit_apart(&rows, |rows| index.commit(rows)).await;
    for (told, outcome) in waiting.into_iter().zip(outcomes) {
        // A stream that is gone will offer it again, and hear that it is stored.
        let _ = told.send(outcome);
    }
}

/// Commits segments at once. What the database will not have of one of them, or not now, does not hold up the others: they are halved
/// until it stands alone, so that most go in few transactions, and what it is about is tried as often as it is halved. So are those that
/// together take too long.
async fn commit_apart<'a, F>(
    rows: &'a [SegmentRows],
    commit: impl Fn(&'a [SegmentRows]) -> F,
) -> Vec<Result<Committed, StoreError>>
where
    F: Future<Output = Result<Vec<Committed>, StoreError>>,
{
    let (mut outcomes, began) = (Vec::with_capacity(rows.len()), Instant::now());
    // The last one is the first in order.
    let mut parts = vec![rows];
    while let Some(part) = parts.pop() {
        match commit(part).await {
            Ok(committed) => outcomes.extend(committed.into_iter().map(Ok)),
            Err(StoreError::Unkept(_) | StoreError::NotNow(_)) if part.len() > 1 && began.elapsed() < HALVED_FOR => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(StoreError::Unkept(why)) if part.len() == 1 => outcomes.push(Err(StoreError::Unkept(why))),
            Err(StoreError::NotNow(why)) => {
                let behind = if began.elapsed() < HALVED_FOR { Vec::new() } else { std::mem::take(&mut parts) };
                let left = part.len() + behind.into_iter().map(<[SegmentRows]>::len).sum::<usize>();
                outcomes.extend((0..left).map(|_| Err(StoreError::NotNow(why.clone()))));
            }
            Err(error) => {
                let why = error.to_string();
                outcomes.extend(part.iter().map(|_| Err(StoreError::Unavailable(why.clone()))));
            }
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::ready;

    use futures_util::poll;
    use tokio::time::sleep;

    use super::*;
    use crate::tapes::index::FrameRow;

    fn segments(count: u64) -> Vec<SegmentRows> {
        (1..=count).map(|sequence| SegmentRows { sequence, ..SegmentRows::default() }).collect()
    }

    #[tokio::test]
    async fn one_segment_that_is_not_kept_costs_the_others_few_transactions() {
        let rows = segments(32);
        let transactions = RefCell::new(Vec::new());
        let outcomes = commit_apart(&rows, |part| {
            transactions.borrow_mut().push(part.len());
            let is_bad = part.iter().any(|rows| rows.sequence == 20);
            ready(if is_bad { Err(StoreError::Unkept("no".to_owned())) } else { Ok(vec![Committed::New; part.len()]) })
        })
        .await;
        let refused: Vec<usize> = (0..32).filter(|index| outcomes[*index].is_err()).collect();
        assert_eq!((outcomes.len(), refused), (32, vec![19]));
        assert!(matches!(outcomes[19], Err(StoreError::Unkept(_))));
        // All, and two of each half from sixteen down to one.
        assert_eq!(transactions.borrow().len(), 11, "{transactions:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn segments_that_take_too_long_together_are_halved() {
        let (rows, asked) = (segments(32), RefCell::new(Vec::new()));
        let outcomes = commit_apart(&rows, |part| {
            asked.borrow_mut().push(part.len());
            async move {
                sleep(Duration::from_secs(10).min(Duration::from_millis(500) * u32::try_from(part.len()).unwrap()))
                    .await;
                let is_late = part.len() > 16;
                if is_late { Err(StoreError::NotNow("late".to_owned())) } else { Ok(vec![Committed::New; part.len()]) }
            }
        })
        .await;
        assert!(outcomes.len() == 32 && outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(*asked.borrow(), [32, 16, 16]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_in_which_everything_takes_too_long_is_not_asked_for_ever() {
        let (rows, asked) = (segments(32), Cell::new(0));
        let outcomes = commit_apart(&rows, |_| {
            asked.set(asked.get() + 1);
            async {
                sleep(Duration::from_secs(10)).await;
                Err(StoreError::NotNow("late".to_owned()))
            }
        })
        .await;
        assert_eq!((outcomes.len(), asked.get()), (32, 3));
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(StoreError::NotNow(_)))), "{outcomes:?}");
    }

    #[tokio::test]
    async fn what_would_be_too_much_for_a_batch_is_in_the_next() {
        let (writer, mut jobs) = writer();
        let mut brought = Vec::new();
        for frames in [3, 1, 2] {
            let frames = vec![FrameRow::default(); frames * BATCH_WEIGHT / 4];
            brought.push(Box::pin(writer.commit(SegmentRows { frames, ..SegmentRows::default() })));
            assert!(poll!(brought.last_mut().unwrap()).is_pending());
        }
        let first = jobs.0.recv().await.unwrap();
        let (batch, left_over) = jobs.batch(first);
        assert_eq!((batch.len(), left_over.unwrap().0.frames.len()), (2, BATCH_WEIGHT / 2));
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_asked_once() {
        let (rows, asked) = (segments(3), Cell::new(0));
        let outcomes = commit_apart(&rows, |_| {
            asked.set(asked.get() + 1);
            ready(Err(StoreError::Unavailable("away".to_owned())))
        })
        .await;
        assert_eq!(asked.get(), 1);
        assert!(
            outcomes.len() == 3 && outcomes.iter().all(|outcome| matches!(outcome, Err(StoreError::Unavailable(_))))
        );
    }
}
