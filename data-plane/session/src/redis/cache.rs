//! Local copies of sessions, kept honest by Redis's client-side caching.
//!
//! A copy is taken only of what was read over the current link, whose reads Redis tracks: a change by anyone else arrives as
//! an invalidation on the same connection, behind the answer it makes stale. The answer is handled by another task than the
//! invalidation, though, so a reader notes the stripe's count of invalidations before it asks ([`Cache::observe`]) and its copy
//! is refused if the count moved meanwhile. This node's own changes are not announced to it (`NOLOOP`): whoever makes one
//! holds a [`Changing`], which counts as an invalidation when it is dropped. One connection carries changes and reads in the
//! order sent, so a read that is sent after the drop sees the change, and a copy of an earlier read is refused or removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use super::record::touch_interval;
use super::status::Status;
use crate::clock::millis;
use crate::hash::IdBuildHasher;
use crate::{Session, SessionId, StoreMetrics};

/// Sessions kept: about 64 MiB at a kilobyte each. Beyond it a session is served, but not kept (`cache_refusals`), until the
/// next sweep has let the longest unused go.
const CAPACITY: usize = 65_536;

/// What a sweep leaves of a full cache.
const CAPACITY_AFTER_SWEEP: usize = CAPACITY / 8 * 7;

/// Counters of invalidations. Two sessions that share one cost each other a copy now and then, never a wrong one.
const STRIPES: usize = 256;

/// Local copies of sessions.
#[derive(Debug)]
pub(super) struct Cache {
    copies: DashMap<SessionId, Cached, IdBuildHasher>,
    invalidations: Box<[AtomicU64]>,
    status: Arc<Status>,
    metrics: StoreMetrics,
}

#[derive(Debug)]
struct Cached {
    session: Arc<Session>,
    generation: u64,
    /// When Redis last heard of a use. Unix time in milliseconds.
    touched_at: AtomicU64,
}

/// A session served from its copy.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) session: Arc<Session>,
    /// Whether Redis should hear of this use. Said to one of those who hit at the same time.
    pub(super) touch_is_due: bool,
}

/// What a reader saw before it asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed {
    invalidations: u64,
    generation: u64,
}

/// A change of a session by this node, under way. When it is dropped, however that comes, no older copy is served any more.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    cache: &'a Cache,
    id: SessionId,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.cache.remove(&self.id);
    }
}

impl Cache {
    pub(super) fn new(status: Arc<Status>, metrics: StoreMetrics) -> Self {
        Self {
            copies: DashMap::default(),
            invalidations: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            status,
            metrics,
        }
    }

    /// The session, if its copy may be served; notes that it was used.
    pub(super) fn hit(&self, id: &SessionId, now: u64) -> Option<Hit> {
        let copy = self.copies.get(id)?;
        if !self.status.trusts(copy.generation, now) || copy.session.is_expired(now) {
            return None;
        }
        copy.session.touch(now);
        Some(Hit { session: Arc::clone(&copy.session), touch_is_due: copy.claim_touch(now, &self.status) })
    }

    /// To be called before asking Redis for a session over the link of `generation`.
    pub(super) fn observe(&self, id: &SessionId, generation: u64) -> Observed {
        Observed { invalidations: self.stripe(id).load(Ordering::Acquire), generation }
    }

    /// Keeps a copy of what was read after `observed`, unless it may be stale already. Redis last heard of a use at
    /// `touched_at` (Unix time in milliseconds).
    pub(super) fn keep(&self, session: &Arc<Session>, touched_at: u64, observed: Observed) {
        if self.copies.len() >= CAPACITY {
            self.metrics.cache_refusals.increment(1);
            return;
        }
        let copy = Cached {
            session: Arc::clone(session),
            generation: observed.generation,
            touched_at: AtomicU64::new(touched_at),
        };
        // The shard is locked from here on; `remove` counts first and removes then, so it comes before the comparison or
        // after the insertion.
        let place = self.copies.entry(session.id);
        if self.stripe(&session.id).load(Ordering::Acquire) == observed.invalidations {
            place.insert(copy);
        }
    }

    /// Redis says that somebody else changed or ended the session.
    pub(super) fn invalidate(&self, id: &SessionId) {
        self.metrics.invalidations.increment(1);
        self.remove(id);
    }

    /// Redis says that everything changed.
    pub(super) fn invalidate_all(&self) {
        for stripe in &self.invalidations {
            stripe.fetch_add(1, Ordering::Release);
        }
        self.copies.clear();
    }

    /// To be held while this node changes or ends the session.
    pub(super) fn changing(&self, id: &SessionId) -> Changing<'_> {
        Changing { cache: self, id: *id }
    }

    /// Redis did not hear of the use after all: the next one tells it.
    pub(super) fn touch_failed(&self, id: &SessionId) {
        if let Some(copy) = self.copies.get(id) {
            copy.touched_at.store(0, Ordering::Relaxed);
        }
    }

    /// Lets go of what cannot be served any more and, if the cache is full, of what was unused longest.
    pub(super) fn sweep(&self, now: u64) {
        self.copies.retain(|_, copy| copy.generation == self.status.generation() && !copy.session.is_expired(now));
        if self.copies.len() >= CAPACITY {
            let mut uses: Vec<_> = self.copies.iter().map(|copy| copy.session.last_used()).collect();
            let surplus = uses.len() - CAPACITY_AFTER_SWEEP;
            let (_, &mut last_to_go, _) = uses.select_nth_unstable(surplus - 1);
            self.copies.retain(|_, copy| copy.session.last_used() > last_to_go);
        }
    }

    fn remove(&self, id: &SessionId) {
        self.stripe(id).fetch_add(1, Ordering::Release);
        self.copies.remove(id);
    }

    fn stripe(&self, id: &SessionId) -> &AtomicU64 {
        &self.invalidations[id.bits() as usize % STRIPES]
    }
}

impl Cached {
    fn claim_touch(&self, now: u64, status: &Status) -> bool {
        let touched_at = self.touched_at.load(Ordering::Relaxed);
        let interval = millis(touch_interval(self.session.idle_timeout));
        now.saturating_sub(touched_at) >= interval
            && status.is_up()
            && self.touched_at.compare_exchange(touched_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use shadowcat_mcp::ProtocolVersion;

    use super::{CAPACITY, CAPACITY_AFTER_SWEEP, Cache};
    use crate::clock::now;
    use crate::redis::status::Status;
    use crate::{NewSession, Principal, Session, SessionId, StoreMetrics, UpstreamSession};

    /// A cache whose link is away, but not for long enough to matter.
    fn cache() -> Cache {
        Cache::new(Arc::new(Status::new(Duration::from_secs(60))), StoreMetrics::default())
    }

    fn session(used_at: u64) -> Arc<Session> {
        let new = NewSession {
            route: "workbench".into(),
            principal: Principal::anonymous(),
            upstream: UpstreamSession { name: "files".into(), id: None },
            protocol_version: ProtocolVersion::V2025_11_25,
            client_capabilities: "{}".into(),
            server_capabilities: "{}".into(),
            owner: None,
            idle_timeout: Duration::from_secs(600),
            max_per_route: 1,
        };
        Arc::new(Session::begin(SessionId::random(), new, used_at))
    }

    #[test]
    fn what_was_read_before_an_invalidation_is_not_kept() {
        let (cache, session) = (cache(), session(now()));
        let observed = cache.observe(&session.id, 0);
        cache.invalidate(&session.id);
        cache.keep(&session, now(), observed);
        assert!(cache.hit(&session.id, now()).is_none());

        cache.keep(&session, now(), cache.observe(&session.id, 0));
        assert!(cache.hit(&session.id, now()).is_some());
        cache.invalidate_all();
        assert!(cache.hit(&session.id, now()).is_none());
    }

    #[test]
    fn what_was_read_during_a_change_is_not_kept() {
        let (cache, session) = (cache(), session(now()));
        let changing = cache.changing(&session.id);
        let observed = cache.observe(&session.id, 0);
        cache.keep(&session, now(), observed);
        drop(changing);
        assert!(cache.hit(&session.id, now()).is_none());
        cache.keep(&session, now(), observed);
        assert!(cache.hit(&session.id, now()).is_none());
    }

    #[test]
    fn a_copy_of_another_link_is_not_served() {
        let (cache, session) = (cache(), session(now()));
        cache.keep(&session, now(), cache.observe(&session.id, 7));
        assert!(cache.hit(&session.id, now()).is_none());
    }

    #[test]
    fn a_full_cache_keeps_nothing_more_until_the_longest_unused_are_swept() {
        let (cache, now) = (cache(), now());
        let keep = |session: &Arc<Session>| cache.keep(session, now, cache.observe(&session.id, 0));
        let sessions: Vec<_> = (0..CAPACITY as u64).map(|age| session(now - age)).collect();
        sessions.iter().for_each(keep);
        let refused = session(now);
        keep(&refused);
        assert!(!cache.copies.contains_key(&refused.id));

        cache.sweep(now);
        assert_eq!(cache.copies.len(), CAPACITY_AFTER_SWEEP);
        assert!(sessions[..CAPACITY_AFTER_SWEEP].iter().all(|session| cache.copies.contains_key(&session.id)));
        keep(&refused);
        assert!(cache.copies.contains_key(&refused.id));
    }
}
