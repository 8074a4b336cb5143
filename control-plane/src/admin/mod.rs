//! What operators ask, behind `shadowcatctl`: the services of `shadowcat.admin.v1`.
//!
//! - [`roles`]: who may call what.
//! - [`authenticate`]: who calls. Every call passes it before its body is read.
//! - one module per service.
//!
//! Invariants: what changes something goes through the store, which writes the audit record with it; while the database is gone,
//! such a call says UNAVAILABLE within two seconds, and what can be read from memory is.

mod answer;
mod aside;
mod authenticate;
mod configurations;
mod fleets;
mod invalid;
mod nodes;
mod roles;
mod sessions;
mod tapes;
mod upstreams;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

pub(crate) use aside::Aside;
pub(crate) use authenticate::{Denials, Gate};

use crate::authority::Authority;
use crate::fleet::{DEFAULT_FLEET, Hub, is_name};
use crate::store::{Store, StoreError};
use crate::tapes::Tapes;

/// A node that is asked something answers within this time, or is called silent.
const ASK_DEADLINE: Duration = Duration::from_secs(2);

/// The longest page.
const PAGE_MAX: u32 = 1000;

/// What the services share.
pub(crate) struct Admin {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) aside: Aside,
    pub(crate) tapes: Arc<Tapes>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// The fleet of a request.
fn fleet_of(name: &str) -> Result<&str, Status> {
    match name {
        "" => Ok(DEFAULT_FLEET),
        name if is_name(name) => Ok(name),
        _ => {
            Err(Status::invalid_argument("a fleet's name has lower-case letters, digits and inner hyphens, 63 at most"))
        }
    }
}

/// How many of a page are wanted.
fn page(asked: u32, default: u32) -> u32 {
    if asked == 0 { default } else { asked.min(PAGE_MAX) }
}

/// What the store would not do, in gRPC's words.
#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn refused(error: StoreError) -> Status {
    let message = error.to_string();
    match error {
        StoreError::Conflict { .. } => Status::aborted(message),
        StoreError::Token(_) => Status::unauthenticated(message),
        StoreError::Unavailable(_) | StoreError::NotNow(_) => Status::unavailable(message),
        StoreError::Unkept(_) => Status::invalid_argument(message),
        StoreError::Unusable(_) => Status::internal(message),
    }
}
