//! When calls are made.

use std::time::{Duration, Instant};

/// When calls are made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Each connection calls again as soon as it is answered: how much the server can do.
    Closed,
    /// Calls are due at a constant rate, whatever the server does: how long clients wait at that rate.
    Open {
        /// Over all connections.
        calls_per_second: f64,
    },
}

/// The calls of one connection.
pub(super) enum Schedule {
    /// The next is always due.
    Closed,
    /// Calls are due at fixed times, the connections' calls evenly between each other.
    Open {
        /// When the next is due.
        due: Instant,
        /// Between two calls of this connection.
        every: Duration,
    },
}

impl Schedule {
    /// The schedule of connection `index` of `connections`.
    pub(super) fn new(pace: Pace, index: usize, connections: usize) -> Self {
        match pace {
            Pace::Closed => Self::Closed,
            Pace::Open { calls_per_second } => {
                let every = Duration::from_secs_f64(connections as f64 / calls_per_second);
                let offset = every.mul_f64(index as f64 / connections as f64);
                Self::Open { due: Instant::now() + offset, every }
            }
        }
    }

    /// Waits until the next call is due, and returns the time its latency counts from.
    ///
    /// A call that waited for its connection counts from when it was due: the wait is the server's doing. A call that
    /// waited for this timer counts from when the timer fired: tokio's tick of a millisecond is the generator's own.
    pub(super) async fn next(&mut self) -> Instant {
        let Self::Open { due, every } = self else {
            return Instant::now();
        };
        let was_due = *due;
        *due += *every;
        if Instant::now() >= was_due {
            return was_due;
        }
        tokio::time::sleep_until(was_due.into()).await;
        Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_call_that_waited_for_its_connection_counts_from_when_it_was_due() {
        let due = Instant::now() - 3 * SECOND;
        let mut schedule = Schedule::Open { due, every: SECOND };
        assert_eq!([schedule.next().await, schedule.next().await], [due, due + SECOND]);
    }

    #[tokio::test]
    async fn a_call_that_is_not_due_yet_is_waited_for() {
        let due = Instant::now() + Duration::from_millis(20);
        assert!(Schedule::Open { due, every: SECOND }.next().await >= due);
    }

    #[test]
    fn calls_of_all_connections_lie_evenly_between_each_other() {
        let due = |index| match Schedule::new(Pace::Open { calls_per_second: 2.0 }, index, 4) {
            Schedule::Open { due, every } => (due, every),
            Schedule::Closed => unreachable!("an open pace makes an open schedule"),
        };
        let ((first, every), (last, _)) = (due(0), due(3));
        assert_eq!(every, 2 * SECOND);
        assert!(last - first >= 3 * SECOND / 2);
    }
}
