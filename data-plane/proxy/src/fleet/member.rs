//! A node of a fleet: it joins, starts from what it has, and follows its control plane for as long as the gateway serves.
//!
//! Invariant: whether the control plane is there changes nothing for a call. What ran goes on; what was on disk is served before the
//! first byte from the control plane; only a node that has neither waits for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use shadowcat_config::ConfigRef;
use shadowcat_proto::fleet::v1 as wire;
use shadowcat_proto::fleet::v1::fleet_client::FleetClient;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Conversation, Memory};
use super::dial::{ControlPlaneUrl, as_node, as_stranger, dial};
use super::disk::{Disk, DiskError, read_seed};
use super::ending::LineError;
use super::identity::{Identity, IdentityError, JoinToken, Request};
use super::keeper::Keeper;
use super::pause::{Node, Pauses};
use super::prepare::Source;
use super::provenance::Origin;
use super::ship::Shipping;
use crate::gateway::Control;
use crate::record::SpoolSettings;

/// The control plane may take this long to issue a certificate.
pub(super) const ISSUE_WAIT: Duration = Duration::from_secs(10);

/// What is recorded, in the data directory.
const SPOOL_DIR: &str = "spool";

/// What makes a gateway the member of a fleet.
#[derive(Debug, Clone)]
pub struct MemberSettings {
    /// Where the control plane is.
    pub control_plane: ControlPlaneUrl,
    /// Lets this machine in; not needed again once it has joined.
    pub join_token: Option<JoinToken>,
    /// A snapshot to start from where the disk holds none.
    pub seed: Option<PathBuf>,
    /// Where identity and configuration are kept from start to start.
    pub data_dir: PathBuf,
    /// What the node is: region, rack, whatever its operator says.
    pub labels: BTreeMap<String, String>,
    /// The name it wants when it joins; made up by the control plane without one.
    pub node: Option<String>,
}

/// Why a gateway cannot become a member.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// Nothing can be kept, and there is nothing to start from; or the directory is in use.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The identity that is there cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// There is none, and no way to get one.
    #[error("this node has joined no fleet yet: give --join-token, which shadowcatctl nodes token prints")]
    NotJoined,
    /// The identity that is there is another fleet's.
    #[error(
        "{} holds the identity of node {node} in fleet {fleet}, of another control plane than the join token's: \
         give another --data-dir, or remove {} to join anew", data_dir.display(), data_dir.join("identity").display()
    )]
    AnotherFleet {
        /// The directory.
        data_dir: PathBuf,
        /// The name it has there.
        node: String,
        /// The fleet it is in.
        fleet: String,
    },
    /// The name that is asked for is not the one it has.
    #[error("{} holds the identity of node {has}, not {wanted}: leave --node out, or give another --data-dir", data_dir.display())]
    AnotherName {
        /// The directory.
        data_dir: PathBuf,
        /// The name it has.
        has: String,
        /// The name asked for.
        wanted: String,
    },
}

/// A gateway's membership, before it starts.
#[derive(Debug)]
pub struct Member {
    settings: MemberSettings,
    identity: Option<Identity>,
    disk: Disk,
}

/// A membership that has begun.
pub struct Following {
    settings: MemberSettings,
    identity: Option<Identity>,
    control: Control,
    keeper: Keeper,
    memory: Memory,
    standing: Standing,
    /// How the node shows who it is, for the line that ships what was recorded.
    shown: watch::Sender<Option<Arc<ClientConfig>>>,
}

/// What is known of the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// An earlier start left it, and no control plane has let this one in with it.
    Unheard,
    /// It is of this boot or was good in it, or the join token has turned out not to bring another.
    Settled,
}

impl Member {
    /// Reads what an earlier start left, and finds out whether anything can be kept.
    ///
    /// # Errors
    /// When the directory cannot be used or is another node's, or the machine has neither joined nor a token. That the control plane
    /// cannot be reached is none, nor is a disk that takes nothing new while it has something to serve.
    pub fn open(settings: MemberSettings) -> Result<Self, MemberError> {
        let disk = Disk::open(&settings.data_dir)?;
        let identity = Identity::load(&settings.data_dir)?;
        match (&identity, &settings.join_token) {
            (None, None) => return Err(MemberError::NotJoined),
            (Some(identity), token) => check(identity, token.as_ref(), &settings)?,
            (None, Some(_)) => {}
        }
        Ok(Self { settings, identity, disk })
    }

    /// Where what is recorded waits for the control plane.
    #[must_use]
    pub fn spool(&self) -> SpoolSettings {
        let node = self.identity.as_ref().map(|identity| identity.node.clone());
        SpoolSettings {
            dir: self.settings.data_dir.join(SPOOL_DIR),
            node: node.or_else(|| self.settings.node.clone()).unwrap_or_default(),
            bounds: shadowcat_config::Spool::default(),
        }
    }

    /// Puts to use the best configuration that this machine has: from its disk, else from the seed, else none.
    pub async fn start(mut self, control: Control) -> Following {
        control.shared.configs.disconnected();
        let reverted = self.disk.reverted().cloned();
        let refused = self.disk.refused().to_vec();
        let started = self.start_from_disk(&control).await;
        let started = match (started, self.settings.seed.clone()) {
            (None, Some(seed)) => self.start_from_seed(&control, &seed, &refused).await,
            (started, _) => started,
        };
        let Self { settings, identity, disk } = self;
        let (keeper, work) = Keeper::new(disk, control.shared.drain.clone(), control.shared.configs.clone());
        control.shared.tasks.spawn(work);
        if let Some((version, canonical)) = started {
            keeper.runs(&version, canonical);
        }
        let memory = Memory::new(refused, reverted);
        let (shown, _) = watch::channel(None);
        Following { settings, identity, control, keeper, memory, standing: Standing::Unheard, shown }
    }

    async fn start_from_disk(&mut self, control: &Control) -> Option<(ConfigRef, Option<Bytes>)> {
        while let Some((version, canonical)) = self.disk.next() {
            if self.try_version(control, Source::Kept(version.clone(), canonical, Origin::Disk), &version).await {
                return Some((version, None));
            }
        }
        None
    }

    async fn start_from_seed(
        &mut self,
        control: &Control,
        seed: &Path,
        refused: &[ConfigRef],
    ) -> Option<(ConfigRef, Option<Bytes>)> {
        let (version, canonical) = match read_seed(seed) {
            Ok(read) => read,
            Err(reason) => {
                tracing::error!(seed = %seed.display(), %reason, "the seed is not usable; the start goes on without it");
                return None;
            }
        };
        if refused.contains(&version) {
            tracing::error!(%version, "the seed is a version that this node went back from; the start goes on without it");
            return None;
        }
        let source = Source::Kept(version.clone(), canonical.clone(), Origin::Seed);
        self.try_version(control, source, &version).await.then_some((version, Some(canonical)))
    }

    async fn try_version(&mut self, control: &Control, source: Source, version: &ConfigRef) -> bool {
        if let Err(error) = self.disk.trial(version) {
            tracing::warn!(%error, "if this version kills the process, nobody will know");
        }
        match control.prepare(source).await {
            Ok(prepared) => {
                control.activate(prepared);
                tracing::info!(%version, "serving what this machine had");
                true
            }
            Err(error) => {
                tracing::error!(%version, %error, "a version that this machine had is not usable; the start goes on without it");
                let _ = self.disk.end_of_trial();
                false
            }
        }
    }
}

fn check(identity: &Identity, token: Option<&JoinToken>, settings: &MemberSettings) -> Result<(), MemberError> {
    let data_dir = || settings.data_dir.clone();
    if token.is_some_and(|token| token.authority() != identity.authority()) {
        let (node, fleet) = (identity.node.clone(), identity.fleet.clone());
        return Err(MemberError::AnotherFleet { data_dir: data_dir(), node, fleet });
    }
    match &settings.node {
        Some(wanted) if *wanted != identity.node => {
            let (has, wanted) = (identity.node.clone(), wanted.clone());
            Err(MemberError::AnotherName { data_dir: data_dir(), has, wanted })
        }
        _ => Ok(()),
    }
}

impl Following {
    /// Follows the control plane, and ships what was recorded, until the future is dropped, which is to be when the gateway has ended.
    pub async fn run(self) {
        let shipping = Shipping {
            control_plane: self.settings.control_plane.clone(),
            control: self.control.clone(),
            identity: self.shown.subscribe(),
        };
        tokio::join!(self.follow(), shipping.run());
    }

    async fn follow(mut self) {
        let mut pauses = Pauses::default();
        let mut told = String::new();
        loop {
            let mut welcomed = None;
            let mut ended = self.once(&mut welcomed).await;
            self.control.shared.configs.disconnected();
            if let Err(LineError::Refused(why)) = &ended
                && self.may_join_again(welcomed)
            {
                tracing::warn!(why, "the identity that an earlier start left is refused: joining again");
                ended = Box::pin(self.join()).await;
                if matches!(ended, Err(LineError::NotLetIn(_))) {
                    self.standing = Standing::Settled;
                }
            }
            if pauses.ended(welcomed, &ended) {
                told.clear();
            }
            let Err(error) = ended else { continue };
            let text = error.to_string();
            // The same failure every few seconds is told once.
            if told == text {
                tracing::debug!(%error, "no line to the control plane");
            } else {
                let meanwhile = match self.control.running().config {
                    Some(_) => "what runs goes on",
                    None => "nothing is served yet",
                };
                tracing::warn!(%error, "no line to the control plane; {meanwhile}");
                told = text;
            }
            // Full jitter: a fleet that lost its control plane in one moment comes back over the whole pause.
            let node = if self.control.running().config.is_some() { Node::Serves } else { Node::Waits };
            sleep(pauses.limit(&error, node).mul_f64(fastrand::f64())).await;
        }
    }

    /// Whether a refused identity may be traded for another with the join token. Not one that was good in this boot: a node that
    /// is removed while it runs does not come back by itself.
    fn may_join_again(&self, welcomed: Option<Instant>) -> bool {
        welcomed.is_none() && self.standing == Standing::Unheard && self.settings.join_token.is_some()
    }

    /// From dialling to the end of the line; `welcomed` becomes the moment at which the control plane said welcome.
    async fn once(&mut self, welcomed: &mut Option<Instant>) -> Result<(), LineError> {
        if self.identity.as_ref().is_none_or(Identity::has_expired) {
            Box::pin(self.join()).await?;
        }
        let Self { settings, identity, control, keeper, memory, standing, shown } = self;
        let identity = identity.as_mut().ok_or(LineError::Expired)?;
        let tls = as_node(identity)?;
        shown.send_replace(Some(Arc::new(tls.clone())));
        let channel = dial(&settings.control_plane, tls).await?;
        let conversation = Conversation { settings, identity, control, keeper, memory, welcomed };
        // A line holds buffers that its owner's future need not carry while there is none.
        let ended = Box::pin(conversation.hold(FleetClient::new(channel))).await;
        if welcomed.is_some() {
            *standing = Standing::Settled;
        }
        ended
    }

    /// Trades the join token for an identity.
    async fn join(&mut self) -> Result<(), LineError> {
        let Self { settings, .. } = self;
        let token = settings.join_token.as_ref().ok_or(LineError::Expired)?;
        let tls = as_stranger(token.authority())?;
        let channel = dial(&settings.control_plane, tls).await?;
        let request = Request::new()?;
        let asked = wire::JoinRequest {
            token: token.reveal().to_owned(),
            signing_request: Bytes::copy_from_slice(&request.der),
            node: settings.node.clone().unwrap_or_default(),
        };
        let mut client = FleetClient::new(channel);
        let answer = timeout(ISSUE_WAIT, client.join(asked)).await.map_err(|_| LineError::Silent)?;
        let answer = answer.map_err(|status| LineError::of_joining(&status))?.into_inner();
        let identity = request.issued(answer.chain.into_iter().map(Vec::from).collect())?;
        if identity.authority() != token.authority() {
            return Err(IdentityError::Issued("it is another authority's".to_owned()).into());
        }
        identity.keep(&settings.data_dir).await;
        tracing::info!(fleet = %identity.fleet, node = %identity.node, "joined");
        (self.identity, self.standing) = (Some(identity), Standing::Settled);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
