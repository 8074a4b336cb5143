//! One replica of the control plane, from its start to its end.

use std::fs::{DirBuilder, File, TryLockError};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{Admin, Aside, Denials, Gate};
use crate::authority::{Authority, AuthorityError};
use crate::fleet::follow;
use crate::fleet::hub::Replicas;
use crate::fleet::notes::Notes;
use crate::fleet::service::FleetService;
use crate::fleet::stream::Streams;
use crate::fleet::{DEFAULT_FLEET, Hub};
use crate::listen::{CONNECTIONS, Console, Front, Listener, Services, health, reflection};
use crate::observe::Metrics;
use crate::settings::Settings;
use crate::store::{self, Store, StoreError};
use crate::tapes::Tapes;
use crate::tapes::blobs::{BlobError, Blobs};
use crate::tapes::index::{self, Index};
use crate::token::{FirstToken, FirstTokenError, first_admin_token};
use crate::traffic::replicas::share;
use shadowcat_net::Caps;

/// Calls that are under way when the control plane stops have this long. Nodes are told to go at once and wait for nothing.
const GRACE: Duration = Duration::from_secs(5);

/// Keys and tokens are in it: its owner's alone.
const DATA_DIR_MODE: u32 = 0o700;

/// Why a control plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made.
    #[error("{0}: {1}: name a directory that can be written to (--data-dir)")]
    DataDir(PathBuf, io::Error),
    /// Another process has the database's file.
    #[error(
        "{} is in use by another control plane, perhaps by `shadowcat up`: stop that one, or give another --data-dir; replicas share \
         a Postgres", .0.display()
    )]
    InUse(PathBuf),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The first admin token.
    #[error(transparent)]
    Token(#[from] FirstTokenError),
    /// The place for recorded traffic.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// A port is taken, or not ours.
    #[error("cannot listen on {0}: {1}; choose another with --bind or --console-bind")]
    Bind(SocketAddr, io::Error),
}

/// Why a control plane stopped serving.
#[derive(Debug, thiserror::Error)]
#[error("the gRPC port cannot be served: {0}")]
pub struct ServeError(#[from] tonic::transport::Error);

/// One replica, bound and ready to serve.
pub struct ControlPlane {
    grpc: TcpListener,
    grpc_addr: SocketAddr,
    console: TcpListener,
    console_addr: SocketAddr,
    store: Arc<dyn Store>,
    authority: Arc<Authority>,
    tls: Arc<rustls::ServerConfig>,
    first_token: FirstToken,
    blobs: Blobs,
    index: Arc<dyn Index>,
    /// Held as long as the process lives: see [`only_one`].
    lock: Option<File>,
}

impl ControlPlane {
    /// Opens the database, sees to the authority and the first admin token, and binds both ports.
    ///
    /// # Errors
    /// If any of this fails; each says what to do.
    pub async fn build(settings: Settings) -> Result<Self, StartError> {
        make_private(&settings.data_dir)?;
        let lock = store::sqlite_file(&settings.database).map(only_one).transpose()?.flatten();
        let store = store::open(&settings.database).await?;
        Ok(Self { lock, ..Self::with_store(store, settings).await? })
    }

    /// The same on a store of the program's own. The index of tapes is where `settings.database` says.
    ///
    /// # Errors
    /// As [`ControlPlane::build`].
    pub async fn with_store(store: Arc<dyn Store>, settings: Settings) -> Result<Self, StartError> {
        make_private(&settings.data_dir)?;
        let authority = Arc::new(Authority::open(store.as_ref()).await?);
        let first_token = first_admin_token(store.as_ref(), &settings.data_dir).await?;
        let (blobs, index) = (Blobs::open(&settings.blobs)?, index::open(&settings.database).await?);
        if store::sqlite_file(&settings.database).is_none() && !settings.blobs.contains("://") {
            tracing::warn!(
                "recorded traffic is kept in {}: replicas on other machines do not see it (--blobs)",
                settings.blobs
            );
        }
        let (grpc, grpc_addr) = bind(settings.bind).await?;
        let (console, console_addr) = bind(settings.console_bind).await?;
        let tls = authority.server_config(authority.server_identity(&server_names(grpc_addr))?)?;
        Ok(Self {
            grpc,
            grpc_addr,
            console,
            console_addr,
            store,
            authority,
            tls,
            first_token,
            blobs,
            index,
            lock: None,
        })
    }

    /// Where nodes and operators are served.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Where `/health` and `/metrics` are served.
    #[must_use]
    pub fn console_addr(&self) -> SocketAddr {
        self.console_addr
    }

    /// Where an operator finds the first admin token.
    #[must_use]
    pub fn first_token(&self) -> &FirstToken {
        &self.first_token
    }

    /// By what nodes and operators know this control plane: it signs the certificate they are shown.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What this control plane keeps its versions in.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Serves until `stop` resolves; then until calls have ended, five seconds at most.
    ///
    /// # Errors
    /// If the gRPC port cannot be served any more.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (stopping, cut) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let metrics = Metrics::new();
        let replicas = if self.lock.is_some() { Replicas::One } else { Replicas::Several };
        let hub = Arc::new(Hub::new(self.store.epoch(), replicas, metrics.clone()));
        hub.fleet(DEFAULT_FLEET);
        // What is there already is there for the first node; a store that fails is asked again by the follower.
        if let Err(error) = follow::look(&hub, self.store.as_ref()).await {
            tracing::warn!(%error, "no versions are known yet");
        }
        let notes = Arc::new(Notes::default());
        let (tapes, jobs) = Tapes::new(
            self.blobs.clone(),
            Arc::clone(&self.index),
            Arc::clone(&self.store),
            metrics.clone(),
            stopping.clone(),
        );
        tasks.spawn(tapes.retention().run(Arc::clone(&tapes.deleted), stopping.clone()));
        if replicas == Replicas::Several {
            tasks.spawn(share(Arc::clone(&tapes.traffic), Arc::clone(&self.store), stopping.clone()));
        }
        let services = self.services(Shared { hub: &hub, notes: &notes, tapes, tasks: &tasks, stop: &stopping });
        let console = Console { hub: Arc::clone(&hub), store: Arc::clone(&self.store), metrics: metrics.clone() };
        tasks.spawn(console.serve(self.console, tasks.clone(), stopping.clone()));
        tasks.spawn(follow::run(Arc::clone(&hub), Arc::clone(&self.store), stopping.clone()));
        let writer = TaskTracker::new();
        let (store, noting) = (Arc::clone(&self.store), CancellationToken::new());
        writer.spawn({
            let noting = noting.clone();
            async move { notes.run(store.epoch(), store.as_ref(), noting).await }
        });
        writer.spawn(jobs.run(Arc::clone(&self.index), noting.clone()));
        let (gauge, refused) = metrics.connections();
        let caps = Caps::new(CONNECTIONS, gauge, refused);
        let listener = Listener { socket: self.grpc, tls: self.tls, caps, metrics, tasks: tasks.clone() };
        let serving = listener.serve(services, stopping.clone(), cut.clone());
        let served = until_stopped(serving, stop, &stopping, &cut).await;
        stopping.cancel();
        cut.cancel();
        tasks.close();
        tasks.wait().await;
        // Streams have ended: what nodes said last is written now.
        noting.cancel();
        writer.close();
        writer.wait().await;
        tokio::join!(self.store.close(), self.index.close());
        served
    }

    fn services(&self, shared: Shared<'_>) -> Front {
        let Shared { hub, notes, tapes, tasks, stop } = shared;
        let streams = Arc::new(Streams { hub: Arc::clone(hub), notes: Arc::clone(notes), stop: stop.clone() });
        let denials = Denials::new(Arc::clone(&self.store), hub.metrics.clone());
        let fleet = FleetService {
            streams,
            store: Arc::clone(&self.store),
            authority: Arc::clone(&self.authority),
            denials: denials.clone(),
            tapes: Arc::clone(&tapes),
            tasks: tasks.clone(),
        };
        let admin = Arc::new(Admin {
            store: Arc::clone(&self.store),
            hub: Arc::clone(hub),
            authority: Arc::clone(&self.authority),
            aside: Aside::default(),
            tapes,
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        let gate = Gate::new(Arc::clone(&self.store), denials);
        Front(Arc::new(Services::new(fleet, gate, &admin).open(health()).open(reflection())))
    }
}

/// Serves until told to stop; then as long as there are calls, but not longer than [`GRACE`].
async fn until_stopped(
    serving: impl Future<Output = Result<(), tonic::transport::Error>>,
    stop: impl Future<Output = ()>,
    stopping: &CancellationToken,
    cut: &CancellationToken,
) -> Result<(), ServeError> {
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => return Ok(served?),
        () = stop => {}
    }
    stopping.cancel();
    if let Ok(served) = timeout(GRACE, &mut serving).await {
        return Ok(served?);
    }
    tracing::warn!("calls were cut when the grace period ended");
    cut.cancel();
    Ok(serving.await?)
}

/// What the services of one replica share.
struct Shared<'a> {
    hub: &'a Arc<Hub>,
    notes: &'a Arc<Notes>,
    tapes: Arc<Tapes>,
    tasks: &'a TaskTracker,
    stop: &'a CancellationToken,
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Bind(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// What the certificate says beside the name that our own clients demand: for others, who look at host names.
fn server_names(bound: SocketAddr) -> Vec<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // A host name of its own making may be no DNS name; the certificate does without it then.
    let usable = !host.is_empty() && host.split('.').all(|label| crate::fleet::is_name(&label.to_ascii_lowercase()));
    let address = (!bound.ip().is_unspecified()).then(|| bound.ip().to_string());
    address.into_iter().chain(usable.then_some(host)).collect()
}

/// Keeps a second control plane off a SQLite file: neither would hear of the versions and nodes of the other. The lock ends with the
/// process.
fn only_one(database: PathBuf) -> Result<Option<File>, StartError> {
    let mut path = database.clone().into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    // A file that is there can be locked by whoever may read it.
    let lock = match File::create(&path).or_else(|reason| File::open(&path).map_err(|_| reason)) {
        Ok(lock) => lock,
        // No database can be made there either, which is said next.
        Err(_) if !database.exists() => return Ok(None),
        Err(error) => {
            let path = path.display();
            tracing::warn!(%error, "{path} cannot be used: see that no other control plane uses this database");
            return Ok(None);
        }
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(database)),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "this file system has no locks: see that no other control plane uses {}", database.display());
            Ok(None)
        }
    }
}

/// Makes a directory that is its owner's alone; one that is there stays as it is.
fn make_private(path: &Path) -> Result<(), StartError> {
    let made = DirBuilder::new().recursive(true).mode(DATA_DIR_MODE).create(path);
    made.map_err(|error| StartError::DataDir(path.to_owned(), error))
}
