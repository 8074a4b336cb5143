//! A node of a fleet: it joins, starts from what it has, and follows its control plane for as long as the gateway serves.
//!
//! Invariant: whether the control plane is there changes nothing for a call. What ran goes on; what was on disk is served before the
//! first byte from the control plane; only a node that has neither waits for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use shadowcat_config::ConfigRef;
use shadowcat_proto::fleet::v1 as wire;
use shadowcat_proto::fleet::v1::fleet_client::FleetClient;
use tokio::time::{sleep, timeout};

use super::client::{Conversation, Memory};
use super::dial::{ControlPlaneUrl, as_node, as_stranger, dial};
use super::disk::{Disk, DiskError, read_seed};
use super::ending::{LineError, ended_because};
use super::identity::{Identity, IdentityError, JoinToken, Request};
use super::keeper::Keeper;
use super::prepare::Source;
use super::provenance::Origin;
use crate::gateway::Control;

/// The first pause before the control plane is dialled again is at most this; each failure doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// No pause is longer: so long does a fleet of any size take to be back after its control plane is.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// After so many failures the pause is at its longest anyway, and more would overflow.
const DOUBLINGS_MAX: u32 = 16;

/// A node that has nothing to serve asks this often: there are few of them, and clients are waiting.
const PAUSE_MAX_WAITING: Duration = Duration::from_secs(2);

/// The control plane may take this long to issue a certificate.
pub(super) const ISSUE_WAIT: Duration = Duration::from_secs(10);

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
    /// Nothing can be kept.
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
         give another --data-dir, or remove its identity directory to join anew", data_dir.display()
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
}

impl Member {
    /// Reads what an earlier start left, and finds out whether anything can be kept.
    ///
    /// # Errors
    /// When the directory cannot be used or is another node's, or the machine has neither joined nor a token. That the control plane
    /// cannot be reached is none.
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
        let (keeper, work) = Keeper::new(disk, control.shared.drain.clone());
        control.shared.tasks.spawn(work);
        if let Some((version, canonical)) = started {
            keeper.runs(&version, canonical);
        }
        let memory = Memory::new(refused, reverted);
        Following { settings, identity, control, keeper, memory }
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
    /// Follows the control plane until the future is dropped, which is to be when the gateway has ended.
    pub async fn run(mut self) {
        let mut failures = 0;
        let mut told = String::new();
        loop {
            let ended = self.once(&mut failures).await;
            self.control.shared.configs.disconnected();
            if failures == 0 {
                told.clear();
            }
            let Err(error) = ended else { continue };
            let text = error.to_string();
            // The same failure every few seconds is told once.
            if told == text {
                tracing::debug!(%error, "no line to the control plane");
            } else {
                tracing::warn!(%error, "no line to the control plane; what runs goes on");
                told = text;
            }
            // Full jitter: a fleet that lost its control plane in one moment comes back over the whole pause.
            sleep(self.pause_limit(failures, &error).mul_f64(fastrand::f64())).await;
            failures = failures.saturating_add(1);
        }
    }

    fn pause_limit(&self, failures: u32, error: &LineError) -> Duration {
        if error.is_final() {
            return PAUSE_MAX;
        }
        let waiting = self.control.running().config.is_none();
        let most = if waiting { PAUSE_MAX_WAITING } else { PAUSE_MAX };
        PAUSE_MIN.saturating_mul(1 << failures.min(DOUBLINGS_MAX)).min(most)
    }

    /// From dialling to the end of the line; `failures` is forgotten once the control plane has said welcome.
    async fn once(&mut self, failures: &mut u32) -> Result<(), LineError> {
        if self.identity.as_ref().is_none_or(Identity::has_expired) {
            self.join().await?;
        }
        let Self { settings, identity, control, keeper, memory } = self;
        let identity = identity.as_mut().ok_or(LineError::Expired)?;
        let channel = dial(&settings.control_plane, as_node(identity).map_err(super::dial::DialError::from)?).await?;
        let conversation = Conversation { settings, identity, control, keeper, memory, failures };
        // A line holds buffers that its owner's future need not carry while there is none.
        Box::pin(conversation.hold(FleetClient::new(channel))).await
    }

    /// Trades the join token for an identity.
    async fn join(&mut self) -> Result<(), LineError> {
        let Self { settings, .. } = self;
        let token = settings.join_token.as_ref().ok_or(LineError::Expired)?;
        let tls = as_stranger(token.authority()).map_err(super::dial::DialError::from)?;
        let channel = dial(&settings.control_plane, tls).await?;
        let request = Request::new()?;
        let asked = wire::JoinRequest {
            token: token.reveal().to_owned(),
            signing_request: Bytes::copy_from_slice(&request.der),
            node: settings.node.clone().unwrap_or_default(),
        };
        let mut client = FleetClient::new(channel);
        let answer = timeout(ISSUE_WAIT, client.join(asked)).await.map_err(|_| LineError::Silent)?;
        let answer = answer.map_err(|status| LineError::NotLetIn(ended_because(&status)))?.into_inner();
        let identity = request.issued(answer.chain.into_iter().map(Vec::from).collect())?;
        if identity.authority() != token.authority() {
            return Err(IdentityError::Issued("it is another authority's".to_owned()).into());
        }
        identity.store(&settings.data_dir)?;
        tracing::info!(fleet = %identity.fleet, node = %identity.node, "joined");
        self.identity = Some(identity);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
