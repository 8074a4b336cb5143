//! Which sessions there are: counted in O(1), listed in the order of their ids.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::{CountOf, Principal, Session, SessionId, StoreError};

/// The ids of all sessions. Its size is that of the sessions' caps, which are what it enforces.
#[derive(Debug, Default)]
pub(super) struct Roster {
    all: BTreeSet<SessionId>,
    routes: HashMap<Arc<str>, BTreeSet<SessionId>>,
    principals: HashMap<Principal, u32>,
}

impl Roster {
    /// Writes a session in, unless its route or its principal holds as many as it may.
    pub(super) fn enter(
        &mut self,
        session: &Session,
        max_per_route: u32,
        max_per_principal: u32,
    ) -> Result<(), StoreError> {
        let (route, principal) = (&session.route, &session.principal);
        if self.count(CountOf::Route(route)) >= u64::from(max_per_route) {
            return Err(StoreError::RouteFull { route: route.to_string(), max: max_per_route });
        }
        let held = self.count(CountOf::Principal(principal));
        if !principal.is_anonymous() && held >= u64::from(max_per_principal) {
            return Err(StoreError::PrincipalFull { max: max_per_principal });
        }
        self.all.insert(session.id);
        self.routes.entry(Arc::clone(route)).or_default().insert(session.id);
        *self.principals.entry(principal.clone()).or_default() += 1;
        Ok(())
    }

    /// Strikes a session out that was entered before.
    pub(super) fn leave(&mut self, session: &Session) {
        self.all.remove(&session.id);
        if let Entry::Occupied(mut ids) = self.routes.entry(Arc::clone(&session.route)) {
            ids.get_mut().remove(&session.id);
            if ids.get().is_empty() {
                ids.remove();
            }
        }
        if let Entry::Occupied(mut held) = self.principals.entry(session.principal.clone()) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    pub(super) fn count(&self, of: CountOf<'_>) -> u64 {
        match of {
            CountOf::All => self.all.len() as u64,
            CountOf::Route(route) => self.routes.get(route).map_or(0, BTreeSet::len) as u64,
            CountOf::Principal(principal) => self.principals.get(principal).copied().unwrap_or(0).into(),
        }
    }

    /// Up to `limit` ids after `after`, of one route or of all.
    pub(super) fn ids(&self, route: Option<&str>, after: Option<SessionId>, limit: usize) -> Vec<SessionId> {
        let ids = match route {
            None => Some(&self.all),
            Some(route) => self.routes.get(route),
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        ids.map(|ids| ids.range((from, Bound::Unbounded)).take(limit).copied().collect()).unwrap_or_default()
    }
}
