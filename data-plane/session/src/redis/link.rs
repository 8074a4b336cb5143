//! The one connection to Redis: made, watched, made again.
//!
//! Tracking is on in its default mode: Redis remembers which keys this connection has read and announces changes of those
//! alone. `BCAST` would announce every session created, used or ended anywhere to every node. `NOLOOP` keeps this node's own
//! notes of use from invalidating its own copies; what that means for its other changes is in [`cache`](super::cache).
//!
//! No command on it ever blocks: it carries everybody's.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion,
    RedisError, RedisResult, ServerErrorKind,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::pushes::{LinkPushes, Pushes};
use super::status::Up;
use super::{keys, scripts};
use crate::clock::millis;
use crate::limits::OPERATION_TIMEOUT;
use crate::{StoreError, StoreMetrics};

/// For resolving, connecting, TLS and setting up. Nobody waits for it but the start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the lease is renewed. The answer proves the link, so that a half-open one is noticed although nothing is lost on
/// it; until then an operation takes its whole time-out to fail.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Heartbeats in a row that may fail without the link being given up. A Redis that forks to save pauses for as long as one
/// takes, and a link made anew has every copy read again by every node at once.
const HEARTBEATS_FORGIVEN: u32 = 1;

/// How long a dead node counts as alive. Five heartbeats may be lost before the streams of a living node read as orphans.
const LEASE: Duration = Duration::from_secs(3);

/// Before any attempt to reconnect: a Redis that restarts is not hammered.
const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(50);

/// Between attempts in a long outage. Longer would leave sessions refused after Redis is back.
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);

/// The link made when the node started.
const FIRST_GENERATION: u64 = 1;

/// Commands on their way to the connection's task; more wait for a place, inside their own time-out.
const COMMANDS_QUEUED: usize = 1_024;

/// The link of a node to Redis.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    instance: String,
    pushes: Pushes,
    metrics: StoreMetrics,
}

/// One command, or several in one round trip.
pub(super) trait Request: Sync {
    fn send<T: FromRedisValue + Send>(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> impl Future<Output = RedisResult<T>> + Send;
}

impl Request for Cmd {
    fn send<T: FromRedisValue + Send>(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> impl Future<Output = RedisResult<T>> + Send {
        self.query_async(connection)
    }
}

impl Request for Pipeline {
    fn send<T: FromRedisValue + Send>(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> impl Future<Output = RedisResult<T>> + Send {
        self.query_async(connection)
    }
}

impl Link {
    /// A link to the Redis at `url`, not made yet.
    pub(super) fn new(url: &str, instance: &str, pushes: Pushes, metrics: StoreMetrics) -> Result<Self, RedisError> {
        let info = url.into_connection_info()?;
        // Pushes, and so everything that keeps copies honest, need RESP3, whatever the URL says.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings))?;
        Ok(Self { client, instance: instance.to_owned(), pushes, metrics })
    }

    /// The link, or why there is none.
    pub(super) fn up(&self) -> Result<Arc<Up>, StoreError> {
        self.pushes.status.up()
    }

    /// Asks over the link, or fails at once if there is none.
    pub(super) async fn ask<T: FromRedisValue + Send>(&self, request: &impl Request) -> Result<T, StoreError> {
        self.ask_over(&*self.up()?, request).await
    }

    /// Asks over a given link, for at most [`OPERATION_TIMEOUT`].
    pub(super) async fn ask_over<T: FromRedisValue + Send>(
        &self,
        up: &Up,
        request: &impl Request,
    ) -> Result<T, StoreError> {
        let mut connection = up.connection.clone();
        let answer = timeout(OPERATION_TIMEOUT, async {
            match request.send(&mut connection).await {
                // Somebody flushed the scripts. None of the request ran if this is its first error.
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    load_scripts(&mut connection).await?;
                    request.send(&mut connection).await
                }
                answer => answer,
            }
        });
        let error = match answer.await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => {
                if error.is_unrecoverable_error() {
                    self.pushes.status.went(up.generation, &error.to_string());
                }
                error.to_string()
            }
            Err(_) => format!("no answer within {} ms", OPERATION_TIMEOUT.as_millis()),
        };
        self.metrics.redis_errors.increment(1);
        Err(StoreError::Unavailable(error))
    }

    /// Why there is no link, if there is none.
    pub(super) fn health(&self) -> Result<(), String> {
        if self.pushes.status.is_up() { Ok(()) } else { Err(self.pushes.status.why_away()) }
    }

    /// Keeps the link for as long as it is polled.
    pub(super) async fn keep(&self) {
        let mut backoff = Backoff::default();
        loop {
            if let Ok(up) = self.up() {
                let came = Instant::now();
                self.watch(&up).await;
                if came.elapsed() > RECONNECT_DELAY_MAX {
                    backoff = Backoff::default();
                }
            }
            sleep(backoff.next_delay()).await;
            self.connect().await;
        }
    }

    /// Tries once to make the link.
    pub(super) async fn connect(&self) {
        let status = &self.pushes.status;
        let generation = status.generation() + 1;
        let error = match timeout(CONNECT_TIMEOUT, self.open(generation)).await {
            Ok(Ok(connection)) => {
                tracing::info!(generation, "connected to Redis");
                return status.came(Up { connection, generation });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", CONNECT_TIMEOUT.as_millis()),
        };
        status.still_away(&error);
        tracing::debug!(%error, "Redis is away");
    }

    /// Connects and sets up, in one round trip after the crate's own greeting.
    async fn open(&self, generation: u64) -> RedisResult<MultiplexedConnection> {
        let pushes = LinkPushes { pushes: self.pushes.clone(), generation };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // Every operation has a time-out of its own around it.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(COMMANDS_QUEUED)
            .set_push_sender(pushes);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut setup = redis::pipe();
        setup.cmd("CLIENT").arg("TRACKING").arg("ON").arg("NOLOOP").ignore();
        scripts::load_all(&mut setup);
        setup.add_command(self.renewal());
        let (lease,): (Option<String>,) = setup.query_async(&mut connection).await?;
        if generation > FIRST_GENERATION {
            self.metrics.redis_reconnects.increment(1);
            self.check_lease(lease.as_deref());
        }
        Ok(connection)
    }

    /// Renews the lease until the link is lost. A Redis that does not take it serves no session either.
    async fn watch(&self, up: &Up) {
        let status = &self.pushes.status;
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missed = 0;
        while status.is_up() {
            tokio::select! {
                _ = beats.tick() => {}
                () = status.lost() => continue,
            }
            match self.ask_over::<Option<String>>(up, &self.renewal()).await {
                Ok(lease) => {
                    missed = 0;
                    self.check_lease(lease.as_deref());
                }
                Err(_) if missed < HEARTBEATS_FORGIVEN => missed += 1,
                Err(error) => status.went(up.generation, &error.to_string()),
            }
        }
        tracing::warn!(reason = status.why_away(), "lost Redis: cached sessions go on, others are refused");
    }

    /// `lease` is what was there before the renewal.
    fn check_lease(&self, lease: Option<&str>) {
        if lease.is_none() {
            self.metrics.leases_lost.increment(1);
            tracing::warn!("this node's lease in Redis ran out: others may have taken its streams for orphans");
        }
    }

    /// Writes the lease and returns what was there: nothing, if it had run out.
    fn renewal(&self) -> Cmd {
        let mut set = redis::cmd("SET");
        set.arg(keys::node(&self.instance)).arg("alive").arg("PX").arg(millis(LEASE)).arg("GET");
        set
    }

    /// Gives the lease up and closes the link.
    pub(super) async fn close(&self) {
        let Ok(up) = self.up() else { return };
        let mut farewell = redis::cmd("DEL");
        farewell.arg(keys::node(&self.instance));
        if let Err(error) = self.ask_over::<()>(&up, &farewell).await {
            tracing::debug!(%error, "lease not given up: it runs out by itself");
        }
        self.pushes.status.went(up.generation, "the store was shut down");
    }
}

async fn load_scripts(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut load = redis::pipe();
    scripts::load_all(&mut load);
    load.query_async(connection).await
}

/// Delays between attempts, with jitter: nodes that lost Redis together do not come back together.
#[derive(Debug)]
struct Backoff {
    bound: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { bound: RECONNECT_DELAY_MIN * 2 }
    }
}

impl Backoff {
    /// Anything between the shortest delay and a bound that doubles with each attempt.
    fn next_delay(&mut self) -> Duration {
        let spread = self.bound - RECONNECT_DELAY_MIN;
        self.bound = (self.bound * 2).min(RECONNECT_DELAY_MAX);
        RECONNECT_DELAY_MIN + spread.mul_f64(fastrand::f64())
    }
}
