//! Where configurations are built: a thread of its own that gives way to calls.
//!
//! It checks what came, validates it, and builds a [`Runtime`] beside the running one, of which it takes over what is unchanged.
//! Whoever asked puts the result to use with one store ([`Control`](crate::Control)), and the replaced one comes back here to be
//! freed. Invariants: one configuration is built at a time; nothing of that happens on a thread that serves calls; whatever is
//! wrong with a configuration is an answer, and the thread goes on.

use std::io::{self, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use prost::Message as _;
use shadowcat_config::{Config, ConfigRef, Diagnostics, Digest, digest};
use shadowcat_proto::config::v1 as raw;
use shadowcat_proto::fleet::v1::ConfigError;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::provenance::{Origin, Provenance};
use crate::observe::ConfigMetrics;
use crate::route::{BuildError, Factory, Runtime};

/// How much the thread gives way: with 10, Linux gives a busy call nine times its share.
const NICENESS: i32 = 10;

/// Configurations waiting to be built or freed. Whoever brings one more waits; nothing on the way of a call does.
const QUEUE: usize = 16;

/// A configuration, as it came.
#[derive(Debug)]
pub(crate) enum Source {
    /// Valid already: a file of this machine, or the program.
    Local(Config),
    /// Canonical bytes that were kept on this machine, with where.
    Kept(ConfigRef, Bytes, Origin),
    /// From the control plane.
    Packed(Packed),
}

/// A version as the control plane sends it.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) version: ConfigRef,
    /// Zstandard.
    pub(crate) chunks: Vec<Bytes>,
    /// Bytes once it is unpacked.
    pub(crate) unpacked: usize,
}

/// A configuration that can be put to use at once.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) took: Duration,
}

/// Why a configuration cannot be put to use on this machine.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// It cannot be unpacked.
    #[error("the configuration cannot be unpacked: {0}")]
    Packing(io::Error),
    /// Its bytes are not those of the version it is said to be.
    #[error("the configuration has digest {found} and was announced with {announced}")]
    Digest {
        /// What was announced.
        announced: Digest,
        /// What came.
        found: Digest,
    },
    /// The bytes are no configuration.
    #[error("the configuration cannot be read: {0}; the control plane may be newer than this node")]
    Decode(prost::DecodeError),
    /// The validator refuses it.
    #[error("the configuration is refused\n{0}")]
    Invalid(Diagnostics),
    /// It is valid, and something that it names is not here.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A defect of ours.
    #[error("the configuration could not be built: the node failed over it; report this with its log")]
    Defect,
}

impl PrepareError {
    /// Every mistake, as a node reports it.
    pub(crate) fn errors(&self) -> Vec<ConfigError> {
        let whole = |message: String| vec![ConfigError { path: String::new(), message, hint: String::new() }];
        match self {
            Self::Invalid(diagnostics) => {
                let entries = diagnostics.entries().iter();
                let told = entries.map(|mistake| ConfigError {
                    path: mistake.path.to_string(),
                    message: mistake.message.clone(),
                    hint: mistake.hint.clone().unwrap_or_default(),
                });
                told.take(ERRORS_MAX).collect()
            }
            Self::Build(error) => {
                let (path, message) = error.place();
                vec![ConfigError { path, message, hint: error.hint().to_owned() }]
            }
            Self::Packing(_) | Self::Digest { .. } | Self::Decode(_) | Self::Defect => whole(self.to_string()),
        }
    }
}

/// As many mistakes as a node reports of one configuration: more help nobody, and the report is one message.
const ERRORS_MAX: usize = 100;

/// The way to the thread; it ends when the last of these is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Preparer {
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
enum Job {
    Prepare { source: Source, previous: Arc<Runtime>, answer: oneshot::Sender<Result<Prepared, PrepareError>> },
    Bury(#[expect(dead_code, reason = "it comes here to be dropped")] Arc<Runtime>),
}

impl Preparer {
    /// Starts the thread. What it builds spawns tasks on the runtime this is called on.
    pub(crate) fn start(factory: Arc<Factory>, metrics: ConfigMetrics) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let tokio = Handle::current();
        let work = move || {
            give_way();
            let _tokio = tokio.enter();
            work_off(queue, &factory, &metrics);
        };
        std::thread::Builder::new().name("shadowcat-config".to_owned()).spawn(work)?;
        Ok(Self { jobs })
    }

    /// Builds what `source` says; what `previous` has and is unchanged is taken over.
    pub(crate) async fn prepare(&self, source: Source, previous: Arc<Runtime>) -> Result<Prepared, PrepareError> {
        let (answer, prepared) = oneshot::channel();
        let job = Job::Prepare { source, previous, answer };
        self.jobs.send(job).await.map_err(|_| PrepareError::Defect)?;
        prepared.await.map_err(|_| PrepareError::Defect)?
    }

    /// Frees a configuration that nobody reads any more.
    pub(crate) async fn bury(&self, runtime: Arc<Runtime>) {
        // Without the thread it is freed here.
        let _ = self.jobs.send(Job::Bury(runtime)).await;
    }
}

fn work_off(mut queue: mpsc::Receiver<Job>, factory: &Factory, metrics: &ConfigMetrics) {
    while let Some(job) = queue.blocking_recv() {
        let Job::Prepare { source, previous, answer } = job else { continue };
        let began = Instant::now();
        let built = catch_unwind(AssertUnwindSafe(|| build(source, &previous, factory)));
        let built = built.unwrap_or(Err(PrepareError::Defect));
        if matches!(built, Err(PrepareError::Digest { .. })) {
            metrics.mismatched();
        }
        let took = began.elapsed();
        metrics.prepared(took);
        drop(previous);
        // Nobody waits for it any more: it is freed here.
        let _ = answer.send(built.map(|runtime| Prepared { runtime: Arc::new(runtime), took }));
    }
}

fn build(source: Source, previous: &Runtime, factory: &Factory) -> Result<Runtime, PrepareError> {
    let (version, canonical, origin) = match source {
        Source::Local(config) => {
            let provenance = Provenance::file(config.canonical().map(Bytes::copy_from_slice));
            return Ok(Runtime::build(config, provenance, previous, factory)?);
        }
        Source::Kept(version, canonical, origin) => (version, canonical, origin),
        Source::Packed(packed) => {
            let canonical = unpack(packed.chunks, packed.unpacked).map_err(PrepareError::Packing)?;
            (packed.version, canonical, Origin::Stream)
        }
    };
    let found = digest(&canonical);
    if found != version.digest {
        return Err(PrepareError::Digest { announced: version.digest, found });
    }
    let raw = raw::Config::decode(canonical.clone()).map_err(PrepareError::Decode)?;
    let config = Config::try_from(&raw).map_err(PrepareError::Invalid)?;
    let provenance = Provenance { origin, version: Some(version), canonical: Some(canonical) };
    Ok(Runtime::build(config, provenance, previous, factory)?)
}

/// Unpacks to exactly `unpacked` bytes; what would become longer is not unpacked further.
fn unpack(chunks: Vec<Bytes>, unpacked: usize) -> io::Result<Bytes> {
    let packed = chunks.into_iter().fold(Chain::default(), Chain::with);
    let mut canonical = Vec::with_capacity(unpacked);
    zstd::Decoder::with_buffer(packed)?.take(unpacked as u64 + 1).read_to_end(&mut canonical)?;
    if canonical.len() == unpacked {
        return Ok(canonical.into());
    }
    let more_or_less = if canonical.len() > unpacked { "more" } else { "less" };
    Err(io::Error::other(format!("it becomes {more_or_less} than the {unpacked} bytes that were announced")))
}

/// Chunks, read one after the other.
#[derive(Default)]
struct Chain(std::collections::VecDeque<Bytes>);

impl Chain {
    fn with(mut self, chunk: Bytes) -> Self {
        self.0.push_back(chunk);
        self
    }
}

impl io::Read for Chain {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = io::BufRead::fill_buf(self)?;
        let length = from.len().min(into.len());
        into[..length].copy_from_slice(&from[..length]);
        io::BufRead::consume(self, length);
        Ok(length)
    }
}

impl io::BufRead for Chain {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.0.front().is_some_and(Bytes::is_empty) {
            self.0.pop_front();
        }
        Ok(self.0.front().map_or(&[], |chunk| chunk))
    }

    fn consume(&mut self, bytes: usize) {
        if let Some(chunk) = self.0.front_mut() {
            chunk.advance(bytes);
        }
    }
}

/// Lowers the priority of this thread alone: on Linux a thread has its own.
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "configurations are built at the priority of calls");
    }
}

#[cfg(test)]
mod tests;
