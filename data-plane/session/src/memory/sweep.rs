//! Ends what nobody asks for any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Inner, lock};
use crate::SessionId;
use crate::clock::{millis, now};
use crate::limits::ENDED_STREAM_KEPT;

/// Idle sessions hold memory and places under the caps; a second more does not matter to either.
const INTERVAL: Duration = Duration::from_secs(1);

/// Sessions looked at per tick: about two milliseconds of work. A store of 100 000 is gone through in seven seconds.
const SESSIONS_PER_TICK: usize = 16_384;

/// Sessions looked at between two holds of the roster's lock: 50 µs for whoever waits for it.
const SESSIONS_PER_HOLD: usize = 512;

/// Ended streams forgotten per tick; what is left over waits a second more, inside the budget.
const STREAMS_PER_TICK: usize = 4_096;

/// Sweeps until stopped.
pub(super) async fn run(store: Arc<Inner>, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut position = None;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        position = store.sweep_sessions(position);
        store.sweep_streams();
    }
}

impl Inner {
    /// Goes on from where the last tick stopped, and says where this one did.
    fn sweep_sessions(&self, mut position: Option<SessionId>) -> Option<SessionId> {
        let now = now();
        for _ in 0..SESSIONS_PER_TICK / SESSIONS_PER_HOLD {
            let ids = lock(&self.roster).ids(None, position, SESSIONS_PER_HOLD);
            for id in &ids {
                self.expire(id, now);
            }
            if ids.len() < SESSIONS_PER_HOLD {
                return None;
            }
            position = ids.last().copied();
        }
        position
    }

    fn sweep_streams(&self) {
        let before = now().saturating_sub(millis(ENDED_STREAM_KEPT));
        for _ in 0..STREAMS_PER_TICK {
            let Some(ended) = self.budget.take_ended_before(before) else { return };
            self.forget_ended(&ended);
        }
    }
}
