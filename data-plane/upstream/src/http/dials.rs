//! Making connections that many calls may share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::UpstreamError;

/// The connections that are being made.
///
/// Who finds no room on a connection takes a seat on the one that is being made, and makes it himself if nobody else does. A
/// connection has as many seats as it will likely have room for; who comes when they are taken begins another one, and those
/// before it go on being made at the same time. So a burst of calls ends up on as few connections as carry it, and a call
/// waits for more than one of them only if a server allows less than was expected. The bound on that is the caller's; each
/// connection has its own.
#[derive(Default)]
pub(super) struct Dials {
    /// The one begun last, and how many seats of it are free. The earlier ones have none.
    youngest: Mutex<Option<(Arc<Dial>, usize)>>,
}

/// How the making of a connection went. Locked by who makes it: if that call is given up, one that waits goes on.
type Dial = tokio::sync::Mutex<Option<Result<(), UpstreamError>>>;

impl Dials {
    /// Takes a seat on the connection that is being made, or on a new one with so many `seats`. Returns what `connect` made,
    /// or nothing when another call has made the connection.
    ///
    /// Who waits for a connection shares its failure too, and does not go on to fail in turn.
    pub(super) async fn join<T, F>(&self, seats: usize, connect: impl FnOnce() -> F) -> Result<Option<T>, UpstreamError>
    where
        F: Future<Output = Result<T, UpstreamError>>,
    {
        let dial = self.take_seat(seats);
        let mut outcome = dial.lock().await;
        if let Some(outcome) = &*outcome {
            return outcome.clone().map(|()| None);
        }
        let made = connect().await;
        self.close(&dial);
        *outcome = Some(made.as_ref().map(|_| ()).map_err(Clone::clone));
        made.map(Some)
    }

    fn take_seat(&self, seats: usize) -> Arc<Dial> {
        let mut youngest = self.youngest();
        if let Some((dial, free)) = &mut *youngest
            && let Some(left) = free.checked_sub(1)
        {
            *free = left;
            return Arc::clone(dial);
        }
        let dial = Arc::default();
        *youngest = Some((Arc::clone(&dial), seats.saturating_sub(1)));
        dial
    }

    /// Nobody takes a seat any more: the next call has to find out for itself.
    fn close(&self, dial: &Arc<Dial>) {
        let mut youngest = self.youngest();
        if youngest.as_ref().is_some_and(|(youngest, _)| Arc::ptr_eq(youngest, dial)) {
            *youngest = None;
        }
    }

    fn youngest(&self) -> MutexGuard<'_, Option<(Arc<Dial>, usize)>> {
        self.youngest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
