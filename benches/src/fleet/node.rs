//! A simulated node: everything that a data plane says to its control plane, and nothing of what it does with calls.
//!
//! It joins with a token, holds its line, takes every version to the point at which a data plane would build it (in one
//! piece, unpacked, of the right digest), says what became of it, tells how it is as often as it was asked to, and when
//! its line breaks it comes back with full jitter. It says what happens to it in the fleet's journal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use futures_util::stream::poll_fn;
use shadowcat_proto::fleet::v1::config_status::State;
use shadowcat_proto::fleet::v1::control_message::Kind as Heard;
use shadowcat_proto::fleet::v1::node_message::Kind as Said;
use shadowcat_proto::fleet::v1::{ConfigRef, ConfigStatus, Hello, NodeHealth, NodeMessage, SnapshotChunk, hello};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tonic::Streaming;

use crate::plane::join::Member;

/// The first pause before dialling again is at most this; each failure doubles it. As real nodes have it.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// No pause is longer. As real nodes have it.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// After so many failures the pause is at its longest anyway, and more would overflow.
const DOUBLINGS_MAX: u32 = 16;

/// Messages of a node that wait to be sent; it has a few a second, and waits if there are more.
const OUTBOX: usize = 16;

/// What a node tells of its memory: of a plausible size on the wire, and otherwise of no matter.
const MEMORY_BYTES: u64 = 20_000_000;

/// What happened to a node, when.
#[derive(Debug)]
pub(super) struct Entry {
    /// Which node.
    pub(super) node: usize,
    /// When.
    pub(super) at: Instant,
    /// What.
    pub(super) what: What,
}

/// What happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The control plane said welcome.
    Welcomed,
    /// The node said that it runs the version of this number.
    Applied(u64),
    /// Its line ended, and why.
    Lost(String),
}

/// Where the nodes of a fleet write.
#[derive(Debug)]
pub(super) struct Journal {
    /// Bounded: a node that finds it full waits with what it was about to do.
    pub(super) entries: mpsc::Sender<Entry>,
    /// Pieces of snapshots that came, to all nodes together.
    pub(super) chunks: AtomicU64,
    /// Bytes of the snapshot that came last: as it was sent, and unpacked.
    pub(super) sizes: [AtomicU32; 2],
}

/// A node that has joined.
pub(super) struct Node {
    index: usize,
    member: Member,
    journal: Arc<Journal>,
    /// What it runs.
    have: Option<ConfigRef>,
}

/// A version on its way to a node.
struct Incoming {
    reference: Option<ConfigRef>,
    unpacked: usize,
    packed: Vec<u8>,
}

impl Node {
    /// Joins.
    pub(super) async fn join(
        index: usize,
        address: SocketAddr,
        token: &str,
        journal: Arc<Journal>,
    ) -> anyhow::Result<Self> {
        let member = Member::join(address, token, format!("node-{index}")).await?;
        Ok(Self { index, member, journal, have: None })
    }

    /// Holds a line, again and again, until the future is dropped.
    pub(super) async fn live(mut self) {
        let mut failures = 0;
        loop {
            let ended = self.line(&mut failures).await;
            self.note(What::Lost(
                ended.err().map_or_else(|| "it was asked to".to_owned(), |error| format!("{error:#}")),
            ))
            .await;
            let most = PAUSE_MIN.saturating_mul(1 << DOUBLINGS_MAX.min(failures)).min(PAUSE_MAX);
            tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Holds one line to its end; `failures` is forgotten at the welcome.
    async fn line(&mut self, failures: &mut u32) -> anyhow::Result<()> {
        let mut client = self.member.dial().await?;
        let (outbox, mut queue) = mpsc::channel(OUTBOX);
        say(&outbox, Said::Hello(self.hello())).await?;
        let opened = client.sync(poll_fn(move |context| queue.poll_recv(context))).await?;
        let mut inbox: Streaming<_> = opened.into_inner();
        let Some(Heard::Welcome(welcome)) = inbox.message().await?.and_then(|message| message.kind) else {
            bail!("the first word is not a welcome");
        };
        *failures = 0;
        self.note(What::Welcomed).await;

        let mut incoming = None;
        let mut prepared = None;
        let mut health = interval(Duration::from_millis(welcome.health_every_ms.into()));
        health.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heard = tokio::select! {
                heard = inbox.message() => heard?.context("the control plane closed the line")?,
                _ = health.tick() => {
                    let health = NodeHealth { memory_bytes: MEMORY_BYTES, versions_live: 1, ..NodeHealth::default() };
                    say(&outbox, Said::NodeHealth(health)).await?;
                    continue;
                }
            };
            match heard.kind {
                Some(Heard::Snapshot(chunk)) => {
                    if let Some(reference) = self.piece(&mut incoming, &chunk)? {
                        say(&outbox, status(&reference, State::Prepared)).await?;
                        prepared = Some(reference);
                    }
                }
                Some(Heard::Activate(activate)) => {
                    ensure!(prepared.is_some() && activate.r#ref == prepared, "told to use what is not prepared");
                    self.have = prepared.take();
                    let Some(reference) = &self.have else { bail!("a version without a reference") };
                    say(&outbox, status(reference, State::Applied)).await?;
                    self.note(What::Applied(reference.number)).await;
                }
                Some(Heard::Reconnect(reconnect)) => {
                    tokio::time::sleep(Duration::from_millis(reconnect.after_ms.into())).await;
                    return Ok(());
                }
                Some(Heard::Welcome(_) | Heard::Command(_)) | None => bail!("a message that was not due"),
            }
        }
    }

    /// Takes a piece of a snapshot; with the last, the version that is whole now.
    fn piece(&self, incoming: &mut Option<Incoming>, chunk: &SnapshotChunk) -> anyhow::Result<Option<ConfigRef>> {
        self.journal.chunks.fetch_add(1, Ordering::Relaxed);
        if chunk.index == 0 {
            self.journal.sizes[0].store(chunk.total_bytes, Ordering::Relaxed);
            self.journal.sizes[1].store(chunk.config_bytes, Ordering::Relaxed);
            let unpacked = usize::try_from(chunk.config_bytes)?;
            *incoming = Some(Incoming { reference: chunk.r#ref.clone(), unpacked, packed: Vec::new() });
        }
        let whole = incoming.as_mut().context("a piece without the first")?;
        ensure!(whole.reference == chunk.r#ref, "pieces of two versions at once");
        whole.packed.extend_from_slice(&chunk.bytes);
        if !chunk.last {
            return Ok(None);
        }
        let Some(Incoming { reference: Some(reference), unpacked, packed }) = incoming.take() else {
            bail!("a version without a reference");
        };
        check(&reference, &packed, unpacked)?;
        Ok(Some(reference))
    }

    fn hello(&self) -> Hello {
        let origin = if self.have.is_some() { hello::Origin::Stream } else { hello::Origin::None };
        Hello {
            instance: format!("{:032x}", self.index),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            schema: 1,
            have: self.have.clone(),
            origin: origin.into(),
            ..Hello::default()
        }
    }

    async fn note(&self, what: What) {
        let entry = Entry { node: self.index, at: Instant::now(), what };
        // Nobody reads any more when the fleet is being given up.
        self.journal.entries.send(entry).await.ok();
    }
}

/// Checks that a snapshot is what it was announced as.
fn check(reference: &ConfigRef, packed: &[u8], unpacked: usize) -> anyhow::Result<()> {
    let canonical = zstd::bulk::decompress(packed, unpacked)?;
    ensure!(canonical.len() == unpacked, "a snapshot of another size than was announced");
    let digest = Bytes::copy_from_slice(shadowcat_config::digest(&canonical).as_bytes());
    ensure!(digest == reference.digest, "a snapshot with another digest than was announced");
    Ok(())
}

fn status(reference: &ConfigRef, state: State) -> Said {
    Said::ConfigStatus(ConfigStatus { r#ref: Some(reference.clone()), state: state.into(), ..ConfigStatus::default() })
}

async fn say(outbox: &mpsc::Sender<NodeMessage>, kind: Said) -> anyhow::Result<()> {
    outbox.send(NodeMessage { kind: Some(kind) }).await.context("the control plane takes nothing any more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_passes_only_with_its_own_digest_and_size() {
        let content = b"canonical bytes of some version";
        let packed = zstd::bulk::compress(content, 3).unwrap();
        let digest = Bytes::copy_from_slice(shadowcat_config::digest(content).as_bytes());
        let reference = ConfigRef { epoch: "e".to_owned(), number: 1, digest };
        check(&reference, &packed, content.len()).unwrap();
        assert!(check(&reference, &packed, content.len() + 1).is_err());
        let other = ConfigRef { digest: Bytes::from_static(&[0; 32]), ..reference };
        assert!(check(&other, &packed, content.len()).unwrap_err().to_string().contains("digest"));
    }
}
