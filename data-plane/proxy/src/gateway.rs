//! The gateway as a library: built, served, reloaded, drained.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use shadowcat_config::{Config, Tls};
use shadowcat_net::{Caps, Limits};
use shadowcat_session::{MemoryStore, SessionStore, StoreOptions};
use shadowcat_upstream::Upstream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admit::Door;
use crate::drain::{Drain, GRACE, LAME_DUCK};
use crate::fleet::{PrepareError, Prepared, Preparer, Source};
use crate::listen::{CLIENTS, Listener, OPERATORS, TlsError, acceptor};
use crate::observe::{ConfigMetrics, Registry, UPKEEP_EVERY, store_metrics};
use crate::record::{self, RecordError, SpoolSettings, TapeSink};
use crate::route::{Factory, Runtime, Shared};
use crate::service::{Faces, Gate};
use crate::stream::Detached;

/// Where a gateway listens unless it is told otherwise.
pub const DEFAULT_BIND: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// What ends after the last call (detached streams, replays) is cut after this.
const TASKS_GRACE: Duration = Duration::from_secs(2);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {reason}; choose another with --bind")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
    /// The certificate is not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The configuration is valid but cannot be put to use here.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Recorded traffic cannot be kept.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The system gives no thread.
    #[error("cannot start the thread that builds configurations: {0}; check the limit on processes (ulimit -u)")]
    Thread(io::Error),
}

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    lame_duck: Duration,
    grace: Duration,
}

impl Stop {
    /// As a replica behind a load balancer stops: see [`crate::drain`].
    pub const ORDERLY: Self = Self { lame_duck: LAME_DUCK, grace: GRACE };

    /// As a person stops a program: no lame duck, a short grace.
    pub const PROMPT: Self = Self { lame_duck: Duration::ZERO, grace: Duration::from_secs(5) };
}

/// Collects what a gateway is made of. Nothing is indispensable: without a configuration it waits for one.
pub struct GatewayBuilder {
    config: Option<Config>,
    bind: SocketAddr,
    operations: Option<SocketAddr>,
    tls: Option<Tls>,
    registry: Registry,
    instance: Arc<str>,
    store: Option<Arc<dyn SessionStore>>,
    upstreams: HashMap<String, Arc<dyn Upstream>>,
    records: record::To,
}

impl GatewayBuilder {
    fn new(config: Option<Config>) -> Self {
        Self {
            config,
            bind: DEFAULT_BIND,
            operations: None,
            tls: None,
            registry: Registry::new(),
            instance: new_instance(),
            store: None,
            upstreams: HashMap::new(),
            records: record::To::Nowhere,
        }
    }

    /// The address for MCP clients; port 0 takes a free one. [`DEFAULT_BIND`] by default.
    #[must_use]
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.bind = address;
        self
    }

    /// An address of its own for health and metrics. Without one, they are on the address for clients.
    #[must_use]
    pub fn operations(mut self, address: SocketAddr) -> Self {
        self.operations = Some(address);
        self
    }

    /// Serves HTTPS to MCP clients.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Where sessions live. In the memory of this process by default.
    #[must_use]
    pub fn session_store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Answers in place of the configured upstream of this name.
    #[must_use]
    pub fn upstream(mut self, name: impl Into<String>, upstream: Arc<dyn Upstream>) -> Self {
        self.upstreams.insert(name.into(), upstream);
        self
    }

    /// Where recorded traffic is kept. Without it, and without a sink, no route can be recorded.
    #[must_use]
    pub fn spool(mut self, spool: SpoolSettings) -> Self {
        self.records = record::To::Spool(spool);
        self
    }

    /// Takes recorded traffic in place of a spool.
    #[must_use]
    pub fn tape_sink(mut self, sink: Box<dyn TapeSink>) -> Self {
        self.records = record::To::Sink(sink);
        self
    }

    /// What a store for this gateway is made with: its counters appear under `/metrics`, and it knows this boot by its name.
    #[must_use]
    pub fn store_options(&self) -> StoreOptions {
        StoreOptions { metrics: store_metrics(&self.registry), ..StoreOptions::new(Arc::clone(&self.instance)) }
    }

    /// Builds everything and opens the sockets.
    ///
    /// # Errors
    /// When an address, a certificate or a secret is not there.
    pub async fn build(self) -> Result<Gateway, StartError> {
        let options = self.store_options();
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::new(options)));
        let detached = Detached::new(
            self.registry.gauge("shadowcat_streams_detached", "Streams that go on without a client.", vec![]),
            self.registry.counter("shadowcat_streams_given_up_total", "Streams given up for want of a place.", vec![]),
        );
        let configs = ConfigMetrics::new(&self.registry);
        let (recorder, records) = record::start(self.records, &self.instance, &self.registry).await?;
        let shared = Arc::new(Shared {
            detached,
            store,
            instance: self.instance,
            drain: Drain::default(),
            tasks: TaskTracker::new(),
            retiring: TaskTracker::new(),
            registry: self.registry.clone(),
            configs: configs.clone(),
            recorder,
            records,
        });
        let drain = shared.drain.clone();
        let factory =
            Arc::new(Factory::new(self.registry.clone(), configs, drain, self.upstreams, shared.recorder.clone()));
        let preparer = Preparer::start(Arc::clone(&factory), shared.configs.clone()).map_err(StartError::Thread)?;
        let runtime = Arc::new(ArcSwap::from_pointee(Runtime::none()));
        let control = Control { runtime, shared, factory, preparer, stop: CancellationToken::new() };
        if let Some(config) = self.config {
            control.reload(config).await?;
        }
        let tls = self.tls.map(|tls| acceptor(&tls.certificate, &tls.key)).transpose()?;
        let connections = TaskTracker::new();
        let caps = |limits| caps(limits, &self.registry);
        let clients = listen(self.bind, tls, caps(CLIENTS), connections.clone()).await?;
        let operators = match self.operations {
            Some(address) => Some(listen(address, None, caps(OPERATORS), control.shared.tasks.clone()).await?),
            None => None,
        };
        Ok(Gateway { control, clients, operators, connections })
    }
}

/// A name for this boot: 128 random bits in hexadecimal.
fn new_instance() -> Arc<str> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("a system without random bytes has no sessions and no TLS either");
    format!("{:032x}", u128::from_be_bytes(bytes)).into()
}

fn caps(limits: Limits, registry: &Registry) -> Arc<Caps> {
    let open = registry.gauge("shadowcat_connections", "Connections open.", vec![]);
    let refused = registry.counter("shadowcat_connections_refused_total", "Connections closed beyond a cap.", vec![]);
    Caps::new(limits, open, refused)
}

async fn listen(
    address: SocketAddr,
    tls: Option<tokio_rustls::TlsAcceptor>,
    caps: Arc<Caps>,
    tasks: TaskTracker,
) -> Result<Listener, StartError> {
    Listener::bind(address, tls, caps, tasks).await.map_err(|reason| StartError::Bind { address, reason })
}

/// A gateway whose sockets are open and which serves once it is told to.
pub struct Gateway {
    control: Control,
    clients: Listener,
    operators: Option<Listener>,
    /// The connections of clients, which a drain waits for; those of operators last as long as there is something to watch.
    connections: TaskTracker,
}

/// Acts on a gateway while it serves.
#[derive(Clone)]
pub struct Control {
    runtime: Arc<ArcSwap<Runtime>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) factory: Arc<Factory>,
    preparer: Preparer,
    stop: CancellationToken,
}

impl Gateway {
    /// Starts to collect what a gateway that runs `config` is made of.
    #[must_use]
    pub fn builder(config: Config) -> GatewayBuilder {
        GatewayBuilder::new(Some(config))
    }

    /// Starts to collect what a gateway is made of that gets its configuration later. Until then it says that it is not ready,
    /// to whoever asks for its health and to every MCP client.
    #[must_use]
    pub fn waiting() -> GatewayBuilder {
        GatewayBuilder::new(None)
    }

    /// The address for MCP clients.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.clients.local_addr()
    }

    /// The address for operators, if it is another one.
    #[must_use]
    pub fn operations_addr(&self) -> Option<SocketAddr> {
        self.operators.as_ref()?.local_addr().ok()
    }

    /// What acts on this gateway while it serves.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves until `stop` resolves or [`Control::stop`] is called, then drains; true if no call was cut.
    pub async fn serve(self, stop: impl Future<Output = Stop>) -> bool {
        let Self { control, clients, operators, connections } = self;
        let Control { runtime, shared, stop: asked, .. } = control;
        let upkeep = CancellationToken::new();
        let kept_up = shared.tasks.spawn(keep_up(Arc::clone(&shared), upkeep.clone()));
        let gate = |door, faces| Gate { runtime: Arc::clone(&runtime), shared: Arc::clone(&shared), door, faces };
        let faces = if operators.is_some() { Faces::Clients } else { Faces::Everybody };
        let door = door(&clients);
        let serving = TaskTracker::new();
        serving.spawn(clients.run(Arc::new(gate(door, faces)), shared.drain.door(), shared.drain.clone()));
        if let Some(operators) = operators {
            let gate = Arc::new(gate(Door::Open, Faces::Operators));
            serving.spawn(operators.run(gate, shared.drain.end(), shared.drain.clone()));
        }
        let Stop { lame_duck, grace } = tokio::select! {
            how = stop => how,
            () = asked.cancelled() => Stop::ORDERLY,
        };
        tracing::info!(?grace, "draining");
        let whole = shared.drain.run(lame_duck, grace, &connections).await;
        for tracker in [&serving, &shared.tasks, &shared.retiring] {
            tracker.close();
        }
        upkeep.cancel();
        let _ = kept_up.await;
        let ended = async {
            tokio::join!(serving.wait(), connections.wait());
            // Now that no connection is left, none leaves a task behind any more.
            shared.tasks.wait().await;
        };
        let _ = tokio::time::timeout(TASKS_GRACE, ended).await;
        let runtime = runtime.load_full();
        tokio::join!(join_all(runtime.upstreams().map(|upstream| upstream.stop())), shared.retiring.wait());
        if let Some(recorder) = &shared.recorder {
            recorder.stop().await;
        }
        if let Some(records) = &shared.records {
            records.last_words().await;
        }
        shared.store.shutdown().await;
        whole
    }
}

impl Control {
    /// Puts another configuration to use: built aside, then swapped in with one store. Calls under way keep theirs.
    ///
    /// # Errors
    /// When it cannot be put to use on this machine; the running one stays.
    pub async fn reload(&self, config: Config) -> Result<(), PrepareError> {
        let prepared = self.prepare(Source::Local(config)).await?;
        self.activate(prepared);
        Ok(())
    }

    /// Builds what `source` says, on a thread of its own that gives way to calls.
    pub(crate) async fn prepare(&self, source: Source) -> Result<Prepared, PrepareError> {
        self.preparer.prepare(source, self.runtime.load_full()).await
    }

    /// Puts to use what was prepared; returns how long that took.
    pub(crate) fn activate(&self, prepared: Prepared) -> Duration {
        let new = prepared.runtime;
        new.watch_children();
        let began = Instant::now();
        let old = self.runtime.swap(Arc::clone(&new));
        let took = began.elapsed();
        self.shared.configs.applied(new.provenance.number(), took);
        old.retire(new, &self.shared, self.preparer.clone());
        took
    }

    /// Gives up what was prepared and will not be used.
    pub(crate) fn discard(&self, prepared: Prepared) {
        prepared.runtime.retire(self.runtime.load_full(), &self.shared, self.preparer.clone());
    }

    /// What runs now.
    pub(crate) fn running(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }

    /// True if `config` is what runs.
    #[must_use]
    pub fn runs(&self, config: &Config) -> bool {
        self.runtime.load().config.as_ref() == Some(config)
    }

    /// Stops the gateway as SIGTERM does.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

fn door(listener: &Listener) -> Door {
    match listener.local_addr() {
        Ok(address) if address.ip().is_loopback() => Door::Loopback,
        _ => Door::Open,
    }
}

async fn keep_up(shared: Arc<Shared>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(UPKEEP_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {
                shared.registry.upkeep();
                shared.configs.upkeep();
            }
        }
    }
}
