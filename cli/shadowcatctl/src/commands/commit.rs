//! What `apply` and `rollback` share: a commit that was refused, and one that was made.

use shadowcat_config::FleetSource;
use shadowcat_proto::admin::v1::{ApplyResponse, HistoryRequest, Version};
use tonic::{Code, Status};

use super::{Desk, files, follow};
use crate::connect::Client;
use crate::failure::mistakes;
use crate::output::{Now, age, clean};
use crate::view::number;
use crate::{Exit, Failure};

/// Whether a command stays until the nodes have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// It ends with the commit.
    Skip,
    /// It follows the version to the nodes.
    Follow,
}

impl From<bool> for Wait {
    /// From `--no-wait`.
    fn from(no_wait: bool) -> Self {
        if no_wait { Self::Skip } else { Self::Follow }
    }
}

/// What was to be committed.
#[derive(Debug)]
pub(super) struct Origin<'s> {
    /// For a person, as in `apply the configuration`.
    pub(super) what: &'s str,
    /// The files, if it came from files.
    pub(super) source: Option<&'s FleetSource>,
    /// `--if-version`.
    pub(super) if_version: Option<u64>,
}

/// Why nothing was committed.
pub(super) async fn refused(client: &Client, origin: &Origin<'_>, status: &Status) -> Failure {
    if let Some(found) = mistakes(status) {
        return files::invalid_by_server(&found.errors, origin.source);
    }
    let conflict = status.code() == Code::Aborted;
    let Some(expected) = origin.if_version.filter(|_| conflict) else {
        return client.failure(origin.what, status);
    };
    let request = HistoryRequest { fleet: client.fleet(), limit: 1, before: 0 };
    // The refusal itself is enough when the history cannot be read as well.
    let newest = client.try_call(client.configurations().history(request)).await;
    match newest.map(|newest| newest.versions.into_iter().next()) {
        Ok(current) => {
            expect_version(expected, current.as_ref()).err().unwrap_or_else(|| client.failure(origin.what, status))
        }
        Err(_) => client.failure(origin.what, status),
    }
}

/// Refuses unless the current version is the one that `--if-version` names.
pub(super) fn expect_version(expected: u64, current: Option<&Version>) -> Result<(), Failure> {
    let actual = number(current);
    if actual == expected {
        return Ok(());
    }
    let Some(version) = current else {
        return Err(Failure::new(
            Exit::Conflict,
            format!("conflict: expected version {expected}, but the fleet has none yet; apply with --if-version 0"),
        ));
    };
    let whose = format!("{} made it {} ago", clean(&version.author), age(version.created_at.as_ref(), Now::read()));
    let why = if version.message.is_empty() { String::new() } else { format!(" ({})", clean(&version.message)) };
    let look = match expected {
        0 => format!("shadowcatctl show {actual}"),
        _ => format!("shadowcatctl diff {expected}..{actual}"),
    };
    Err(Failure::new(
        Exit::Conflict,
        format!(
            "conflict: expected version {expected}, but the current one is {actual}: {whose}{why}; nothing was changed; look at \
             it with `{look}`, then apply with --if-version {actual}"
        ),
    ))
}

/// Shows what was committed, and follows it to the nodes.
pub(super) async fn finish(desk: &Desk, client: &Client, applied: ApplyResponse, wait: Wait) -> Result<(), Failure> {
    desk.printer.show(&applied, &desk.printer.page(&client.fleet(), client.server()))?;
    match wait {
        Wait::Skip => Ok(()),
        Wait::Follow => follow::run(desk, client, number(applied.version.as_ref())).await,
    }
}
