//! Makes a segment durable: its messages, its bytes, its rows, in this order. What of it fails is tried again for a while, and does no
//! harm twice: bytes have keys of their own, and rows are there once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::offer::Offer;
use super::writer::Writer;
use crate::observe::Metrics;
use crate::store::StoreError;
use crate::tapes::blobs::{Blobs, message_key};
use crate::tapes::decode::{Shipped, cut, decode};
use crate::tapes::index::{Committed, Index, Known, Offered, SegmentRows, Unread};
use crate::tapes::query::now;

/// How long what is away is waited for before a stream ends. Its node comes again, perhaps to a replica that is better off.
const TRIED_FOR: Duration = Duration::from_secs(60);

/// Between two tries.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Segments that are unpacked at once: each takes a core, and up to 8 MiB; a message, up to 32 MiB.
const DECODED_AT_ONCE: usize = 2;

/// A message that is kept apart, unpacked. Four times the longest that is sent.
const MESSAGE_PLAIN_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What a twin is told with.
const TWIN: &str = "other bytes came before under its number, so two machines use copies of one data directory, or one was set back: \
give each a directory of its own and start both again";

/// Why something is not durable.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It never will be.
    Never(String),
    /// What it needs is away.
    Away(String),
}

/// Where segments go. Clones share everything.
#[derive(Clone)]
pub(crate) struct Ingest {
    pub(crate) blobs: Blobs,
    pub(crate) index: Arc<dyn Index>,
    writer: Writer,
    decoding: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
}

impl Ingest {
    pub(crate) fn new(blobs: Blobs, index: Arc<dyn Index>, writer: Writer, metrics: Metrics) -> Self {
        Self { blobs, index, writer, decoding: Arc::new(Semaphore::new(DECODED_AT_ONCE)), metrics }
    }

    /// What is known of a segment.
    pub(super) async fn look(&self, offered: Offered<'_>) -> Result<Known, Failure> {
        let patience = Patience::new();
        let known = loop {
            match self.index.known(offered).await {
                Ok(known) => break known,
                Err(error) => patience.wait(of_store(error)).await?,
            }
        };
        if known == Known::Stored {
            self.metrics.segment_repeated(offered.fleet);
        }
        Ok(known)
    }

    /// Keeps a message that is what its hash says.
    pub(super) async fn keep(&self, fleet: &str, hash: [u8; 32], packed: Bytes) -> Result<(), Failure> {
        let content = packed.clone();
        self.aside(move || match zstd::bulk::decompress(&content, MESSAGE_PLAIN_BYTES_MAX) {
            Ok(plain) if *blake3::hash(&plain).as_bytes() == hash => Ok(()),
            Ok(_) => Err(Failure::Never("a message of it is not what its hash says".to_owned())),
            Err(error) => Err(Failure::Never(format!("a message of it cannot be unpacked: {error}"))),
        })
        .await?;
        self.put(&message_key(fleet, &blake3::Hash::from_bytes(hash)), &packed).await
    }

    /// Stores a segment of `of`, a fleet and a node.
    pub(super) async fn store(&self, of: (String, String), offer: Box<Offer>, bytes: Bytes) -> Result<(), Failure> {
        let began = Instant::now();
        let (shipped, sealed) = (shipped(of, *offer), bytes.clone());
        let rows = self.aside(move || Ok(decode(&sealed, &shipped))).await?;
        self.take_back(&rows.object).await?;
        self.put(&Path::from(rows.object.as_str()), &bytes).await?;
        let (rows, committed) = self.commit_somehow(rows).await?;
        if committed == Committed::Again {
            self.metrics.segment_repeated(&rows.fleet);
            return Ok(());
        }
        let (frames, bytes) = (rows.frames.len() as u64, bytes.len() as u64);
        self.metrics.segment_stored(&rows.fleet, frames, bytes, began.elapsed());
        self.tell(&rows);
        Ok(())
    }

    /// Tells what a segment lacks that was stored.
    fn tell(&self, rows: &SegmentRows) {
        let SegmentRows { fleet, node, instance, sequence, .. } = rows;
        if let Some(unread) = rows.unread {
            let told = rows.gaps.first().map_or("", |gap| &gap.detail);
            tracing::error!(fleet, node, instance, sequence, told, "nothing of a segment is found; its bytes are kept");
            self.metrics.segment_unread(fleet, unread.as_str());
        } else if rows.lost_bytes > 0 {
            tracing::warn!(
                fleet,
                node,
                instance,
                sequence,
                bytes = rows.lost_bytes,
                "a segment is damaged: what can be read of it is indexed, and the rest is a gap"
            );
        }
    }

    /// Commits a segment: as bytes alone, if the index will not have its rows or has others under its number.
    async fn commit_somehow(&self, rows: SegmentRows) -> Result<(SegmentRows, Committed), Failure> {
        let (unread, detail) = match self.commit(&rows).await {
            Ok(Committed::Taken) => (Unread::Twin, TWIN.to_owned()),
            Err(Failure::Never(why)) => {
                (Unread::NotIndexed, format!("the index will not have its rows: {}", cut(&why)))
            }
            Ok(committed) => return Ok((rows, committed)),
            Err(away) => return Err(away),
        };
        let rows = rows.unread(unread, &detail);
        match self.commit(&rows).await? {
            // Bytes alone take no number from others.
            Committed::Taken => Err(Failure::Never("the index does not keep its bytes".to_owned())),
            committed => Ok((rows, committed)),
        }
    }

    /// What an earlier try has left behind may be about to be deleted.
    async fn take_back(&self, object: &str) -> Result<(), Failure> {
        let patience = Patience::new();
        while let Err(error) = self.index.take_back(object, now()).await {
            patience.wait(of_store(error)).await?;
        }
        Ok(())
    }

    async fn commit(&self, rows: &SegmentRows) -> Result<Committed, Failure> {
        let patience = Patience::new();
        loop {
            match self.writer.commit(rows.clone()).await {
                Ok(committed) => return Ok(committed),
                Err(error) => patience.wait(of_store(error)).await?,
            }
        }
    }

    async fn put(&self, key: &Path, bytes: &Bytes) -> Result<(), Failure> {
        let patience = Patience::new();
        loop {
            match self.blobs.put(key, bytes.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => patience.wait(Failure::Away(error.to_string())).await?,
            }
        }
    }

    /// Does work that takes a core, away from the threads of the runtime.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn =
            Arc::clone(&self.decoding).acquire_owned().await.map_err(|closed| Failure::Away(closed.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            // Until the work has ended, whether somebody still waits for it or not.
            let _turn = turn;
            work()
        });
        done.await.map_err(|stopped| Failure::Away(stopped.to_string()))?
    }
}

fn shipped(of: (String, String), offer: Offer) -> Shipped {
    Shipped {
        fleet: of.0,
        node: of.1,
        instance: offer.id.instance,
        sequence: offer.id.sequence,
        digest: offer.digest,
        first_record: offer.first_record,
        last_record: offer.last_record,
        messages: offer.messages.into_iter().map(|(hash, bytes)| (hash, u64::from(bytes))).collect(),
        spoiled: offer.spoiled,
        at: now(),
    }
}

fn of_store(error: StoreError) -> Failure {
    match error {
        StoreError::Unkept(why) => Failure::Never(why),
        other => Failure::Away(other.to_string()),
    }
}

/// How long somebody goes on trying.
struct Patience {
    until: Instant,
}

impl Patience {
    fn new() -> Self {
        Self { until: Instant::now() + TRIED_FOR }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The failure, if another try is of no use, or there were enough.
    async fn wait(&self, failure: Failure) -> Result<(), Failure> {
        match failure {
            Failure::Away(why) if Instant::now() + TRY_EVERY < self.until => {
                tracing::debug!(why, "recorded traffic waits");
                sleep(TRY_EVERY).await;
                Ok(())
            }
            other => Err(other),
        }
    }
}
