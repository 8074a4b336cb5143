//! One line to the control plane, from the greeting to its end: the task that lends [`Line`] its socket and its clock.
//!
//! Bounds: what waits to be said is at most [`OUTBOX`] messages, and a control plane that does not take them loses the line; commands
//! under way are at most [`COMMANDS_MAX`], and further ones are refused; one version is built at a time.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::FutureExt as _;
use futures_util::stream::{FuturesUnordered, poll_fn};
use shadowcat_config::ConfigRef;
use shadowcat_proto::fleet::v1 as wire;
use shadowcat_proto::fleet::v1::config_status::State;
use shadowcat_proto::fleet::v1::fleet_client::FleetClient;
use shadowcat_proto::fleet::v1::node_message::Kind;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tonic::Streaming;
use tonic::transport::Channel;

use super::commands::{draining, obey};
use super::ending::LineError;
use super::identity::{Identity, Request};
use super::keeper::Keeper;
use super::line::{Line, Task, Violation, Welcome};
use super::member::{ISSUE_WAIT, MemberSettings};
use super::prepare::{Packed, PrepareError, Prepared, Source};
use super::provenance::to_wire;
use super::report::{Reports, node_health};
use super::talk::{Talk, done, reached};
use crate::gateway::Control;

/// The highest schema of the configuration that this program knows.
const SCHEMA: u32 = 1;

/// The control plane has this long for its welcome.
const WELCOME_WAIT: Duration = Duration::from_secs(10);

/// Messages waiting to be sent: every upstream of a look, every command's reply, and room.
const OUTBOX: usize = 256;

/// Commands under way: what the control plane keeps outstanding for a node.
const COMMANDS_MAX: usize = 64;

/// The longest message: a piece of a snapshot has 256 KiB, a command of ten thousand session ids about as much.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Upstreams are looked at this often for changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// No two renewals are closer than this, whether the first failed or not: there are days left.
const RENEW_AGAIN: Duration = Duration::from_secs(300);

/// Versions refused in this boot that are remembered; the oldest is forgotten.
const REJECTED_MAX: usize = 64;

/// What outlives a line.
#[derive(Debug, Default)]
pub(super) struct Memory {
    rejected: Vec<ConfigRef>,
    /// Reported on every line until one has heard it: what was said on a line that breaks may be lost with it.
    reverted: Option<ConfigRef>,
}

impl Memory {
    pub(super) fn new(rejected: Vec<ConfigRef>, reverted: Option<ConfigRef>) -> Self {
        Self { rejected, reverted }
    }

    fn reject(&mut self, version: ConfigRef) {
        // Whoever hears of this one has heard of what was reverted, earlier on the same line; said again, it would hide this one.
        self.reverted = None;
        self.rejected.push(version);
        let beyond = self.rejected.len().saturating_sub(REJECTED_MAX);
        self.rejected.drain(..beyond);
    }
}

/// A line that is about to be held.
pub(super) struct Conversation<'a> {
    pub(super) settings: &'a MemberSettings,
    pub(super) identity: &'a mut Identity,
    pub(super) control: &'a Control,
    pub(super) keeper: &'a Keeper,
    pub(super) memory: &'a mut Memory,
    /// When the control plane said welcome.
    pub(super) welcomed: &'a mut Option<Instant>,
}

fn status(version: &ConfigRef, state: State) -> wire::ConfigStatus {
    wire::ConfigStatus { r#ref: Some(to_wire(version)), state: state.into(), ..Default::default() }
}

fn because(message: &str) -> Vec<wire::ConfigError> {
    vec![wire::ConfigError { message: message.to_owned(), ..Default::default() }]
}

impl<'a> Conversation<'a> {
    /// Holds the line until it ends; `Ok` if that was the control plane's wish.
    pub(super) async fn hold(mut self, client: FleetClient<Channel>) -> Result<(), LineError> {
        let mut client = client.max_decoding_message_size(MESSAGE_BYTES_MAX);
        let (outbox, mut queue) = mpsc::channel(OUTBOX);
        let now = Instant::now();
        let welcome_by = now + WELCOME_WAIT;
        let mut talk = Talk {
            line: Line::default(),
            outbox,
            preparing: None,
            prepared: None,
            renewing: None,
            counting: None,
            reports: Reports::default(),
            welcome_by: Some(welcome_by),
            health_at: None,
            health_every: Duration::MAX,
            renew_at: Some(now + self.identity.renewal_in()),
            leave_at: None,
        };
        talk.say(Kind::Hello(self.hello()))?;
        let opened = timeout_at(welcome_by, client.sync(poll_fn(move |cx| queue.poll_recv(cx)))).await;
        let inbox = opened.map_err(|_| LineError::Silent)??.into_inner();
        let ended = self.talk(client, inbox, &mut talk).await;
        if talk.preparing.is_some() || talk.prepared.is_some() {
            self.keeper.leave();
        }
        if let Some(prepared) = talk.prepared.take() {
            self.control.discard(prepared);
        }
        ended
    }

    fn hello(&self) -> wire::Hello {
        let running = self.control.running();
        let provenance = &running.provenance;
        wire::Hello {
            instance: self.control.shared.instance.to_string(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            schema: SCHEMA,
            labels: self.settings.labels.clone(),
            have: provenance.version.as_ref().map(to_wire),
            origin: provenance.origin.on_the_wire().into(),
            rejected: self.memory.rejected.iter().map(to_wire).collect(),
        }
    }

    async fn talk(
        &mut self,
        client: FleetClient<Channel>,
        mut inbox: Streaming<wire::ControlMessage>,
        talk: &mut Talk<'a>,
    ) -> Result<(), LineError> {
        let control = self.control;
        let mut commands = FuturesUnordered::new();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut draining_told = false;
        loop {
            tokio::select! {
                said = inbox.message() => {
                    let said = said?.ok_or_else(|| LineError::Ended("the control plane closed it".to_owned()))?;
                    match talk.line.take(said)? {
                        Task::Wait => {}
                        Task::Greet(welcome) => self.greet(&welcome, talk)?,
                        Task::Prepare(packed) => self.prepare(packed, talk)?,
                        Task::Activate(version) => self.activate(&version, talk)?,
                        Task::Obey(command) if commands.len() < COMMANDS_MAX => commands.push(obey(control.clone(), command)),
                        Task::Obey(command) => talk.say(Kind::CommandReply(too_many(&command)))?,
                        Task::Leave(after) => talk.leave_at = Some(Instant::now() + after),
                    }
                }
                (version, built) = done(&mut talk.preparing) => self.built(version, built, talk)?,
                Some(reply) = commands.next() => talk.say(Kind::CommandReply(reply))?,
                _ = look.tick(), if talk.welcome_by.is_none() => {
                    for change in talk.reports.changes(control) {
                        talk.say(Kind::UpstreamHealth(change))?;
                    }
                }
                () = reached(talk.health_at) => {
                    talk.health_at = None;
                    talk.counting = Some(node_health(control).boxed());
                }
                health = done(&mut talk.counting) => {
                    talk.health_at = Some(Instant::now() + talk.health_every);
                    talk.say(Kind::NodeHealth(health))?;
                }
                () = control.shared.drain.announced(), if !draining_told => {
                    draining_told = true;
                    talk.say(Kind::Draining(draining(control)))?;
                }
                () = reached(talk.renew_at) => {
                    talk.renew_at = None;
                    talk.renewing = Some(renew(client.clone(), &self.settings.data_dir).boxed());
                }
                renewed = done(&mut talk.renewing) => talk.renew_at = Some(Instant::now() + self.renewed(renewed)),
                () = reached(talk.leave_at) => return Ok(()),
                () = reached(talk.welcome_by) => return Err(LineError::Silent),
            }
        }
    }

    fn greet(&mut self, welcome: &Welcome, talk: &mut Talk<'a>) -> Result<(), LineError> {
        *self.welcomed = Some(Instant::now());
        talk.welcome_by = None;
        talk.health_every = welcome.health_every;
        talk.health_at = Some(Instant::now());
        self.control.shared.configs.connected();
        tracing::info!(fleet = welcome.fleet, node = self.identity.node, "connected to the control plane");
        let Some(reverted) = &self.memory.reverted else { return Ok(()) };
        let errors = because("the process died twice soon after this version was put to use");
        talk.say(Kind::ConfigStatus(wire::ConfigStatus { errors, ..status(reverted, State::Reverted) }))
    }

    fn prepare(&mut self, packed: Packed, talk: &mut Talk<'a>) -> Result<(), LineError> {
        let version = packed.version.clone();
        if self.memory.rejected.contains(&version) {
            talk.line.not_prepared(&version);
            let errors = because("this node has refused this version before");
            return talk.say(Kind::ConfigStatus(wire::ConfigStatus { errors, ..status(&version, State::Rejected) }));
        }
        let (control, keeper) = (self.control, self.keeper);
        let building = async move {
            keeper.touch(&version).await;
            let built = control.prepare(Source::Packed(packed)).await;
            (version, built)
        };
        talk.preparing = Some(building.boxed());
        Ok(())
    }

    fn built(
        &mut self,
        version: ConfigRef,
        built: Result<Prepared, PrepareError>,
        talk: &mut Talk<'a>,
    ) -> Result<(), LineError> {
        match built {
            Ok(prepared) => {
                talk.line.prepared(&version);
                let prepare_ms = u32::try_from(prepared.took.as_millis()).unwrap_or(u32::MAX);
                talk.prepared = Some(prepared);
                talk.say(Kind::ConfigStatus(wire::ConfigStatus { prepare_ms, ..status(&version, State::Prepared) }))
            }
            Err(error) => {
                tracing::error!(%version, %error, "a version is refused; what runs stays");
                talk.line.not_prepared(&version);
                self.keeper.leave();
                let errors = error.errors();
                let told = wire::ConfigStatus { errors, ..status(&version, State::Rejected) };
                self.memory.reject(version);
                talk.say(Kind::ConfigStatus(told))
            }
        }
    }

    fn activate(&mut self, version: &ConfigRef, talk: &mut Talk<'a>) -> Result<(), LineError> {
        let prepared = talk.prepared.take().ok_or(Violation::NotPrepared(version.number))?;
        // It answers PREPARED, before which this line reported what was reverted; and what runs from now on settles that.
        self.memory.reverted = None;
        let canonical = prepared.runtime.provenance.canonical.clone();
        let took = self.control.activate(prepared);
        let apply_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let told = talk.say(Kind::ConfigStatus(wire::ConfigStatus { apply_us, ..status(version, State::Applied) }));
        self.keeper.runs(version, canonical);
        tracing::info!(%version, "configuration in use");
        told
    }

    /// Takes the new certificate, which the next line will show; returns when to look again.
    fn renewed(&mut self, renewed: Result<Identity, LineError>) -> Duration {
        match renewed {
            Ok(identity) => {
                tracing::info!(node = identity.node, "certificate renewed");
                *self.identity = identity;
                // Where clocks differ by more than a day, what was just issued is due again.
                self.identity.renewal_in().max(RENEW_AGAIN)
            }
            Err(error) => {
                tracing::warn!(%error, "the certificate is not renewed yet");
                RENEW_AGAIN
            }
        }
    }
}

fn too_many(command: &wire::Command) -> wire::CommandReply {
    let why = format!("{COMMANDS_MAX} commands are under way on this node: try again");
    wire::CommandReply { id: command.id, kind: Some(wire::command_reply::Kind::Failed(why)) }
}

/// Trades the certificate that this line was opened with for a newer one with a new key.
async fn renew(mut client: FleetClient<Channel>, data_dir: &Path) -> Result<Identity, LineError> {
    let request = Request::new()?;
    let asked = wire::RenewRequest { signing_request: Bytes::copy_from_slice(&request.der) };
    let answer = timeout(ISSUE_WAIT, client.renew(asked)).await.map_err(|_| LineError::Silent)??.into_inner();
    let identity = request.issued(answer.chain.into_iter().map(Vec::from).collect())?;
    identity.keep(data_dir).await;
    Ok(identity)
}
