//! Who calls, and whether they may.
//!
//! A token is looked up by its SHA-256, so that neither the database nor the time a look-up takes tells anything of one. Denied
//! attempts leave an audit record, within a bound.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use shadowcat_config::Digest;
use tokio::time::Instant;
use tonic::Status;

use super::roles::{needed, verb};
use crate::observe::Metrics;
use crate::store::{Actor, AdminToken, Outcome, Role, Store, StoreError};
use crate::token;

/// A longer token is none.
const TOKEN_BYTES_MAX: usize = 256;

/// Tokens that were good are remembered, for reading while the database is gone; of more than this, some are forgotten.
const REMEMBERED_MAX: usize = 256;

/// A token that was good is good for reading for this long without the database: an outage and the way to work.
const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);

/// Denied attempts that are recorded in [`DENIALS_PER`]. Whoever guesses tokens does not fill the disk; the rest are counted.
const DENIALS_MAX: u32 = 100;

/// See [`DENIALS_MAX`].
const DENIALS_PER: Duration = Duration::from_secs(60);

/// Who makes a call, once the [`Gate`] let it pass.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    name: String,
    address: SocketAddr,
    verb: String,
    role: Role,
}

impl Caller {
    /// Whoever makes this call.
    ///
    /// # Errors
    /// If it did not pass the gate, which no call can do.
    pub(crate) fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(|| Status::internal("the call passed no gate"))
    }

    /// Whether the caller has this role, or one that may do more.
    pub(crate) fn is(&self, role: Role) -> bool {
        self.role >= role
    }

    /// The caller, for what is done to `resource`.
    pub(crate) fn does(&self, fleet: &str, resource: String) -> Actor {
        Actor {
            fleet: fleet.to_owned(),
            name: self.name.clone(),
            address: self.address.to_string(),
            verb: self.verb.clone(),
            resource,
        }
    }
}

/// Records what was denied.
#[derive(Clone)]
pub(crate) struct Denials {
    store: Arc<dyn Store>,
    metrics: Metrics,
    recorded: Arc<Mutex<(Instant, u32)>>,
}

impl Denials {
    pub(crate) fn new(store: Arc<dyn Store>, metrics: Metrics) -> Self {
        Self { store, metrics, recorded: Arc::new(Mutex::new((Instant::now(), 0))) }
    }

    /// Counts an attempt, and records it unless there were too many of late.
    pub(crate) async fn record(&self, by: Actor, reason: &str) {
        self.metrics.denied();
        tracing::warn!(who = %by.name, address = %by.address, verb = %by.verb, reason, "denied");
        if self.has_room()
            && let Err(error) = self.store.record(by, Outcome::Denied, reason).await
        {
            tracing::warn!(%error, "the attempt is in no audit record");
        }
    }

    fn has_room(&self) -> bool {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.0.elapsed() >= DENIALS_PER {
            *recorded = (Instant::now(), 0);
        }
        recorded.1 += 1;
        recorded.1 <= DENIALS_MAX
    }
}

/// Lets calls of operators pass, or not.
pub(crate) struct Gate {
    store: Arc<dyn Store>,
    denials: Denials,
    remembered: Mutex<HashMap<Digest, (AdminToken, Instant)>>,
}

impl Gate {
    pub(crate) fn new(store: Arc<dyn Store>, denials: Denials) -> Self {
        Self { store, denials, remembered: Mutex::default() }
    }

    /// Whoever makes a call, if they may.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a good token, PERMISSION_DENIED if its role is not enough, UNAVAILABLE if nobody knows.
    pub(crate) async fn admit(&self, path: &str, address: SocketAddr, headers: &HeaderMap) -> Result<Caller, Status> {
        let Some(needed) = needed(path) else {
            return Err(Status::unimplemented(format!("no method {path} is here")));
        };
        let mut caller = Caller { name: String::new(), address, verb: verb(path), role: Role::Viewer };
        let token = match bearer(headers) {
            Some(token) => self.look_up(token).await?,
            None => None,
        };
        let Some(token) = token else {
            let by = caller.does("", String::new());
            self.denials.record(by, "no good token").await;
            return Err(Status::unauthenticated("no good token: give --token, or a context that has one"));
        };
        (caller.name, caller.role) = (token.name, token.role);
        if token.role < needed {
            let reason = format!("it needs the role {}, and the token has {}", needed.as_str(), token.role.as_str());
            self.denials.record(caller.does("", String::new()), &reason).await;
            return Err(Status::permission_denied(format!("{}: {reason}", caller.verb)));
        }
        Ok(caller)
    }

    /// Since when the database is gone, in seconds of Unix time.
    pub(crate) fn stale_since(&self) -> Option<u64> {
        let since = self.store.health().err()?;
        Some(since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    async fn look_up(&self, token: &str) -> Result<Option<AdminToken>, Status> {
        let Ok(token) = token.parse::<token::AdminToken>() else { return Ok(None) };
        let hash = token.hash();
        let found = match self.store.health() {
            Ok(()) => self.store.admin_token(&hash).await,
            Err(_) => Err(StoreError::Unavailable("it did not answer a moment ago".to_owned())),
        };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(Some(token)) => {
                if remembered.len() >= REMEMBERED_MAX {
                    remembered.clear();
                }
                remembered.insert(hash, (token.clone(), Instant::now()));
                Ok(Some(token))
            }
            Ok(None) => {
                remembered.remove(&hash);
                Ok(None)
            }
            Err(error) => {
                let known = remembered.get(&hash).filter(|(token, at)| is_good(token) && at.elapsed() < REMEMBERED_FOR);
                known.map(|(token, _)| Some(token.clone())).ok_or_else(|| Status::unavailable(error.to_string()))
            }
        }
    }
}

fn is_good(token: &AdminToken) -> bool {
    token.expires_at.is_none_or(|at| at > SystemTime::now())
}

/// The token of `authorization: Bearer …` (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && (1..=TOKEN_BYTES_MAX).contains(&token.len())).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_one() {
        let headers = |value: &str| HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        assert_eq!(bearer(&headers("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&headers("bearer abc")), Some("abc"));
        for value in ["", "abc", "Basic abc", "Bearer", "Bearer "] {
            assert_eq!(bearer(&headers(value)), None, "{value:?}");
        }
        assert_eq!(bearer(&headers(&format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1)))), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
