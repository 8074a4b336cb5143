//! Versions of a fleet's configuration.
//!
//! What is applied passes the one validator first, so that a version which a node refuses is a difference between programs and not
//! a mistake of an operator.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use shadowcat_config::{Config, ConfigRef, Digest, Verb, canonical, diff, digest, encode, mask};
use shadowcat_proto::admin::v1::configurations_server::Configurations;
use shadowcat_proto::admin::v1::{
    ApplyRequest, ApplyResponse, Change, DiffRequest, DiffResponse, FieldChange, GetVersionRequest, GetVersionResponse,
    HistoryRequest, HistoryResponse, PlanRequest, PlanResponse, Progress, RollbackRequest, WatchRequest, change,
};
use shadowcat_proto::config::v1 as raw;
use shadowcat_proto::fleet::v1 as wire;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use super::authenticate::Caller;
use super::invalid::invalid;
use super::{Admin, answer, fleet_of, page, refused};
use crate::fleet::LiveFleet;
use crate::fleet::follow::publish;
use crate::fleet::hub::{epoch_of, is_elsewhere, reference};
use crate::fleet::service::{Answers, answers};
use crate::fleet::snapshot::CONFIG_BYTES_MAX;
use crate::store::{NewVersion, Node, Role, Store, Version};

/// Versions of a page unless asked otherwise.
const PAGE_DEFAULT: u32 = 50;

/// A message is a sentence or two, not a document.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Between two words about progress: many nodes that answer at once are told of at once.
const PROGRESS_PAUSE: Duration = Duration::from_millis(50);

/// How often the nodes of other replicas are looked for while an operator watches.
const LOOK_ELSEWHERE: Duration = Duration::from_secs(1);

/// Words about progress that an operator has not read yet.
const PROGRESS_QUEUE: usize = 4;

#[tonic::async_trait]
impl Configurations for Admin {
    async fn apply(&self, request: Request<ApplyRequest>) -> Result<Response<ApplyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let ApplyRequest { fleet, config, message, if_version } = request.into_inner();
        let prepared = self.aside.run(move || prepare(config)).await?;
        let wanted = Wanted { fleet: fleet_of(&fleet)?.to_owned(), prepared, message, if_version };
        self.commit(&caller, wanted).await.map(Response::new)
    }

    async fn plan(&self, request: Request<PlanRequest>) -> Result<Response<PlanResponse>, Status> {
        let caller = Caller::of(&request)?;
        let PlanRequest { fleet, config } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        let prepared = self.aside.run(move || prepare(config)).await?;
        let (current, before) = self.newest(fleet).await?.unzip();
        let before = before.unwrap_or_default();
        Ok(Response::new(PlanResponse {
            changes: self.aside.run(move || Ok(changes(&caller, decode(&before)?, prepared.raw))).await?,
            current: current.map(|version| answer::version(self.hub.epoch(), &version)),
        }))
    }

    async fn diff(&self, request: Request<DiffRequest>) -> Result<Response<DiffResponse>, Status> {
        let caller = Caller::of(&request)?;
        let DiffRequest { fleet, from, to } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        let (before, after) = (self.content(fleet, from).await?, self.content(fleet, to).await?);
        let changes = self.aside.run(move || Ok(changes(&caller, decode(&before)?, decode(&after)?)));
        Ok(Response::new(DiffResponse { changes: changes.await? }))
    }

    async fn history(&self, request: Request<HistoryRequest>) -> Result<Response<HistoryResponse>, Status> {
        let HistoryRequest { fleet, limit, before } = request.into_inner();
        let limit = page(limit, PAGE_DEFAULT);
        let versions = self.store.history(fleet_of(&fleet)?, before, limit).await.map_err(refused)?;
        let last = versions.last().map_or(0, |version| version.number);
        // Numbers have no gaps: below 1 there is nothing.
        let next_before = if versions.len() >= limit as usize && last > 1 { last } else { 0 };
        let versions = versions.iter().map(|version| answer::version(self.hub.epoch(), version)).collect();
        Ok(Response::new(HistoryResponse { versions, next_before }))
    }

    async fn get(&self, request: Request<GetVersionRequest>) -> Result<Response<GetVersionResponse>, Status> {
        let caller = Caller::of(&request)?;
        let GetVersionRequest { fleet, number } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        let (version, content) = self.version(fleet, number).await?;
        let named =
            ConfigRef { epoch: epoch_of(self.hub.epoch(), fleet), number: version.number, digest: version.digest };
        let read = self.aside.run(move || {
            // Nothing is hidden in a seed, which a node runs as it is.
            let seed = if caller.is(Role::Editor) { encode(&named, &content) } else { Vec::new() };
            Ok((shown(&caller, decode(&content)?), seed))
        });
        let (config, seed) = read.await?;
        let version = Some(answer::version(self.hub.epoch(), &version));
        Ok(Response::new(GetVersionResponse { version, config: Some(config), seed }))
    }

    async fn rollback(&self, request: Request<RollbackRequest>) -> Result<Response<ApplyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let RollbackRequest { fleet, number, mut message, if_version } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        if number == 0 {
            return Err(Status::invalid_argument("name the version whose content is wanted again"));
        }
        let content = self.content(fleet, number).await?;
        if message.is_empty() {
            message = format!("rollback to {number}");
        }
        // It was good once; whether it is for the nodes of today is asked again.
        let prepared = self.aside.run(move || prepare(Some(decode(&content)?))).await?;
        self.commit(&caller, Wanted { fleet: fleet.to_owned(), prepared, message, if_version }).await.map(Response::new)
    }

    type WatchStream = Answers<Progress>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let WatchRequest { fleet, number } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        let (version, _) = self.version(fleet, number).await?;
        let reference = reference(self.hub.epoch(), &version);
        let (sender, receiver) = mpsc::channel(PROGRESS_QUEUE);
        let (live, store, stop) = (self.hub.fleet(fleet), Arc::clone(&self.store), self.stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sender.closed() => {}
                () = tell(&live, store.as_ref(), &reference, &sender) => {}
            }
        });
        Ok(Response::new(answers(receiver)))
    }
}

/// Tells how far a version has come, until there is nothing more to tell.
async fn tell(
    fleet: &LiveFleet,
    store: &dyn Store,
    reference: &wire::ConfigRef,
    sender: &mpsc::Sender<Result<Progress, Status>>,
) {
    let mut moves = fleet.moves();
    let (mut told, mut owing) = (None, BTreeSet::new());
    let newest = async || store.current(&fleet.name).await.ok().flatten().map_or(0, |current| current.number);
    let (mut elsewhere, mut known, mut looked) = (nodes_elsewhere(fleet, store).await, newest().await, Instant::now());
    loop {
        moves.borrow_and_update();
        let progress = fleet.progress(reference, &elsewhere, known, &mut owing);
        let done = progress.done;
        if told.as_ref() != Some(&progress) && sender.send(Ok(progress.clone())).await.is_err() {
            return;
        }
        told = Some(progress);
        if done {
            return;
        }
        // A node of another replica moves without a word here: it is looked for, and so is one that has ended.
        let _ = timeout_at(looked + LOOK_ELSEWHERE, moves.changed()).await;
        tokio::time::sleep(PROGRESS_PAUSE).await;
        if looked.elapsed() >= LOOK_ELSEWHERE {
            (elsewhere, known, looked) = (nodes_elsewhere(fleet, store).await, newest().await, Instant::now());
        }
    }
}

/// The nodes that are connected to other replicas; none that are known while the database is gone.
async fn nodes_elsewhere(fleet: &LiveFleet, store: &dyn Store) -> Vec<Node> {
    let mut nodes = store.nodes(&fleet.name).await.unwrap_or_default();
    nodes.retain(|node| fleet.node(&node.name).is_none() && is_elsewhere(Some(fleet), node));
    nodes
}

/// A configuration that may be committed.
struct Prepared {
    raw: raw::Config,
    content: Bytes,
    digest: Digest,
}

/// What is to become the next version.
struct Wanted {
    fleet: String,
    prepared: Prepared,
    message: String,
    if_version: Option<u64>,
}

impl Admin {
    async fn commit(&self, caller: &Caller, wanted: Wanted) -> Result<ApplyResponse, Status> {
        let Wanted { fleet, prepared, message, if_version } = wanted;
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Status::invalid_argument("the message has more than 4096 bytes"));
        }
        if message.contains('\0') {
            return Err(Status::invalid_argument("the message has a NUL: leave it out"));
        }
        let current = self.store.current(&fleet).await.map_err(refused)?;
        let number = current.as_ref().map_or(0, |current| current.number);
        if let Some(expected) = if_version.filter(|expected| *expected != number) {
            return Err(refused(crate::store::StoreError::Conflict { expected, current: number }));
        }
        let nodes = async || {
            let live = self.hub.fleet(&fleet);
            let all = live.nodes().len() + nodes_elsewhere(&live, self.store.as_ref()).await.len();
            u32::try_from(all).unwrap_or(u32::MAX)
        };
        if let Some(current) = current.as_ref().filter(|current| current.digest == prepared.digest)
            && !self.is_refused(current).await
        {
            return Ok(ApplyResponse {
                version: Some(answer::version(self.hub.epoch(), current)),
                changed: false,
                changes: Vec::new(),
                nodes: nodes().await,
            });
        }
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let new = NewVersion {
            fleet: fleet.clone(),
            content: prepared.content.clone(),
            digest: prepared.digest,
            message,
            if_version,
            routes: count(prepared.raw.routes.len()),
            upstreams: count(prepared.raw.upstreams.len()),
        };
        // The store names the version it makes.
        let version = self.store.commit(new, caller.does(&fleet, String::new())).await.map_err(refused)?;
        tracing::info!(%fleet, number = version.number, author = %version.author, message = %version.message, "version committed");
        publish(&self.hub, version.clone(), prepared.content).await;
        // Committed it is, whether what changed can still be told or not.
        let changes = match self.content(&fleet, version.parent).await {
            Ok(before) => {
                let caller = caller.clone();
                let told = self.aside.run(move || Ok(changes(&caller, decode(&before)?, prepared.raw)));
                told.await.unwrap_or_default()
            }
            Err(_) => Vec::new(),
        };
        Ok(ApplyResponse {
            version: Some(answer::version(self.hub.epoch(), &version)),
            changed: true,
            changes,
            nodes: nodes().await,
        })
    }

    /// Whether some node refuses a version. It is not sent that number again: what made it refuse may be mended by now, and then
    /// the same content has to come under another.
    async fn is_refused(&self, version: &Version) -> bool {
        let reference = reference(self.hub.epoch(), version);
        let live = self.hub.fleet(&version.fleet);
        let here = live.nodes().iter().any(|node| {
            let state = node.state();
            state.refusal.as_ref().is_some_and(|(refused, _)| *refused == reference)
        });
        let kept = async || self.store.nodes(&version.fleet).await.unwrap_or_default();
        let refuses = |node: &Node| node.seen.refusal.as_ref().is_some_and(|(number, _)| *number == version.number);
        here || kept().await.iter().any(|node| live.node(&node.name).is_none() && refuses(node))
    }

    /// The newest version of a fleet and its content; from memory while the database is gone.
    async fn newest(&self, fleet: &str) -> Result<Option<(Version, Bytes)>, Status> {
        let head = self.hub.known(fleet).and_then(|fleet| fleet.head());
        let current = match (self.store.current(fleet).await, &head) {
            (Ok(Some(current)), _) => current,
            (Ok(None), _) => return Ok(None),
            (Err(_), Some(head)) => head.version.clone(),
            (Err(error), None) => return Err(refused(error)),
        };
        let content = self.content(fleet, current.number).await?;
        Ok(Some((current, content)))
    }

    /// A version and its content; the current one when `number` is 0.
    async fn version(&self, fleet: &str, number: u64) -> Result<(Version, Bytes), Status> {
        let head = self.hub.known(fleet).and_then(|fleet| fleet.head());
        if let Some(head) = head.filter(|head| head.version.number == number) {
            return Ok((head.version.clone(), head.content.clone()));
        }
        if number == 0 {
            let newest = self.newest(fleet).await?;
            return newest.ok_or_else(|| Status::not_found(format!("fleet {fleet} has no version yet")));
        }
        let version = self.store.version(fleet, number).await.map_err(refused)?;
        let version = version.ok_or_else(|| no_version(fleet, number))?;
        Ok((version, self.content(fleet, number).await?))
    }

    /// The content of a version; nothing at all is that of version 0.
    async fn content(&self, fleet: &str, number: u64) -> Result<Bytes, Status> {
        if number == 0 {
            return Ok(Bytes::new());
        }
        let head = self.hub.known(fleet).and_then(|fleet| fleet.head());
        if let Some(head) = head.filter(|head| head.version.number == number) {
            return Ok(head.content.clone());
        }
        let content = self.store.content(fleet, number).await.map_err(refused)?;
        content.ok_or_else(|| no_version(fleet, number))
    }
}

fn no_version(fleet: &str, number: u64) -> Status {
    Status::not_found(format!("fleet {fleet} has no version {number}: see shadowcatctl history"))
}

/// Validates a configuration and brings it to its canonical form.
fn prepare(config: Option<raw::Config>) -> Result<Prepared, Status> {
    let raw = config.ok_or_else(|| Status::invalid_argument("there is no configuration in the request"))?;
    if let Err(diagnostics) = Config::try_from(&raw) {
        return Err(invalid(&diagnostics));
    }
    let content = Bytes::from(canonical(&raw));
    if content.len() > CONFIG_BYTES_MAX {
        return Err(Status::invalid_argument(format!(
            "the configuration has {} bytes, and at most {CONFIG_BYTES_MAX} reach a node: split the fleet",
            content.len()
        )));
    }
    Ok(Prepared { digest: digest(&content), content, raw })
}

fn decode(content: &Bytes) -> Result<raw::Config, Status> {
    raw::Config::decode(content.clone())
        .map_err(|error| Status::internal(format!("a stored version is damaged: {error}")))
}

/// A configuration as the caller may see it: whoever may not write one does not read the credentials that are written in it.
fn shown(caller: &Caller, config: raw::Config) -> raw::Config {
    if caller.is(Role::Editor) { config } else { mask(&config) }
}

/// What changed as the caller may see it.
fn changes(caller: &Caller, before: raw::Config, after: raw::Config) -> Vec<Change> {
    diff(&shown(caller, before), &shown(caller, after)).into_iter().map(told).collect()
}

fn told(change: shadowcat_config::Change) -> Change {
    let (verb, fields) = match change.verb {
        Verb::Added => (change::Verb::Added, Vec::new()),
        Verb::Changed(fields) => (change::Verb::Changed, fields),
        Verb::Removed => (change::Verb::Removed, Vec::new()),
        Verb::Moved => (change::Verb::Moved, Vec::new()),
    };
    let field = |field: shadowcat_config::FieldChange| FieldChange {
        path: field.path,
        before: field.before,
        after: field.after,
    };
    Change {
        kind: change.key.kind.to_owned(),
        name: change.key.name,
        verb: verb.into(),
        fields: fields.into_iter().map(field).collect(),
    }
}
