//! What a node will not have, as far as its stream begins to know.

use shadowcat_proto::fleet::v1::{ConfigError, ConfigRef, Hello};

use super::hub::{Head, Hub};
use super::live::{LiveNode, Refusal, as_lines};

/// What the store knew of a node when it came.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// What it refused last.
    pub(crate) refusal: Option<Refusal>,
    /// The number of its stream before this one; 0 if the store could not be asked.
    pub(crate) stream: u64,
}

/// What the node says that it has refused, if it is newer than what is remembered and nobody heard why. Not what is beyond the head:
/// that is of a database that was there before this one was restored.
pub(super) fn unheard_refusal(
    epoch: &str,
    hello: &Hello,
    kept: Option<&Refusal>,
    head: Option<&Head>,
) -> Option<Refusal> {
    let runs = hello.have.as_ref().filter(|have| have.epoch == epoch).map_or(0, |have| have.number);
    let known = kept.map_or(0, |(refused, _)| refused.number).max(runs);
    let newest = head.map_or(u64::MAX, |head| head.version.number);
    let unheard =
        |rejected: &&ConfigRef| rejected.epoch == epoch && known < rejected.number && rejected.number <= newest;
    let rejected = hello.rejected.iter().filter(unheard).max_by_key(|rejected| rejected.number)?;
    let error = ConfigError {
        message: "the node has refused it before, and why was not heard here: its own log tells".to_owned(),
        hint: "mend what it tells, then apply again".to_owned(),
        ..ConfigError::default()
    };
    Some((rejected.clone(), vec![error]))
}

/// Logs and counts a refusal that was not known before.
pub(super) fn told_of_refusal(hub: &Hub, node: &LiveNode, reference: &ConfigRef, errors: &[ConfigError]) {
    tracing::error!(fleet = %node.fleet, node = %node.name, number = reference.number, errors = %as_lines(errors),
        "the node refuses a version; it keeps what it had");
    hub.metrics.version_refused(&node.fleet);
}
