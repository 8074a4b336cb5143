//! The RPCs of `shadowcat.fleet.v1`: who may speak, and where it goes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use shadowcat_proto::fleet::v1::fleet_server::Fleet;
use shadowcat_proto::fleet::v1::{
    ControlMessage, JoinRequest, JoinResponse, NodeMessage, RenewRequest, RenewResponse, ShipMessage, ShipReply,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::farewell::{removed, superseded};
use super::hub::{is_elsewhere, reference};
use super::live::{Peer, from_lines};
use super::refusals::Remembered;
use super::stream::{OUTGOING_MAX, Streams, serve};
use super::{Hub, is_name};
use crate::admin::Denials;
use crate::authority::{Authority, NODE_LIFETIME, NodeIdentity};
use crate::listen::Connection;
use crate::store::{Actor, NewNode, Store, StoreError};
use crate::tapes::Tapes;
use crate::tapes::ship::stream as ship;
use crate::token::JoinToken;

/// The store is asked about a node that comes for this long; then the node is served from memory, as when the store is known
/// to be gone.
const LOOK_DEADLINE: Duration = Duration::from_millis(500);

/// Random letters of a name that is made up: 32⁸ of them, so that two nodes of a fleet do not get one.
const MADE_UP_LETTERS: usize = 8;

/// The service behind [`Fleet`].
pub(crate) struct FleetService {
    pub(crate) streams: Arc<Streams>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) denials: Denials,
    pub(crate) tapes: Arc<Tapes>,
    pub(crate) tasks: TaskTracker,
}

/// A stream of answers.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a channel brings, as a stream.
pub(crate) fn answers<T: Send + 'static>(mut receiver: mpsc::Receiver<Result<T, Status>>) -> Answers<T> {
    Box::pin(stream::poll_fn(move |context| receiver.poll_recv(context)))
}

#[tonic::async_trait]
impl Fleet for FleetService {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let address = Connection::of(&request).address.to_string();
        let JoinRequest { token, signing_request, node } = request.into_inner();
        let name = match node.as_str() {
            "" => made_up(),
            asked if is_name(asked) => node,
            _ => {
                return Err(Status::invalid_argument(
                    "a node's name has lower-case letters, digits and inner hyphens, 63 at most",
                ));
            }
        };
        // Before a use of the token is taken: a request that cannot be signed costs none.
        self.authority.check(&signing_request).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let by = Actor {
            fleet: String::new(),
            name: name.clone(),
            address,
            verb: "nodes.join".to_owned(),
            resource: format!("node {name}"),
        };
        let token = match token.parse::<JoinToken>() {
            Ok(token) => token,
            Err(error) => return Err(self.denied(by, &error.to_string()).await),
        };
        // Before a use is taken, too: whoever has the name would be shut out.
        if let Ok(Some(fleet)) = self.store.fleet_to_join(&token.hash()).await
            && self.is_connected(&fleet, &name).await
        {
            let reason = format!(
                "a node {name} of fleet {fleet} is connected: give this one another name with --node, or remove that one first \
                 with shadowcatctl nodes remove {name}"
            );
            self.denials.record(Actor { fleet, ..by }, &reason).await;
            return Err(Status::already_exists(reason));
        }
        let certificate_expires_at = SystemTime::now() + NODE_LIFETIME;
        let new = NewNode { token: token.hash(), name: name.clone(), certificate_expires_at };
        let fleet = match self.store.join(new, by.clone()).await {
            Ok(fleet) => fleet,
            Err(StoreError::Token(reason)) => return Err(self.denied(by, reason).await),
            Err(error) => return Err(unavailable(&error)),
        };
        let signed = self
            .authority
            .sign(&signing_request, &fleet, &name)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.streams.hub.readmit(&fleet, &name);
        tracing::info!(%fleet, node = %name, "node joined");
        let chain = signed.chain.into_iter().map(Bytes::from).collect();
        Ok(Response::new(JoinResponse { node: name, fleet, chain }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let identity = identity(&request)?;
        let NodeIdentity { fleet, node, .. } = &identity;
        let kept = self.store.node(fleet, node).await.map_err(|error| unavailable(&error))?;
        if !kept.is_some_and(|kept| identity.is_of(&kept)) {
            return Err(removed());
        }
        let signed = self
            .authority
            .sign(&request.into_inner().signing_request, fleet, node)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        if !self.store.renew_node(fleet, node, signed.expires_at).await.map_err(|error| unavailable(&error))? {
            return Err(removed());
        }
        Ok(Response::new(RenewResponse { chain: signed.chain.into_iter().map(Bytes::from).collect() }))
    }

    type SyncStream = Answers<ControlMessage>;

    async fn sync(&self, request: Request<Streaming<NodeMessage>>) -> Result<Response<Self::SyncStream>, Status> {
        let identity = identity(&request)?;
        let address = Connection::of(&request).address.to_string();
        let peer = Peer { identity: identity.clone(), address };
        let (outgoing, messages) = mpsc::channel(OUTGOING_MAX);
        let (streams, store) = (Arc::clone(&self.streams), Arc::clone(&self.store));
        let kept = async move { look_up(&streams.hub, store.as_ref(), &identity).await };
        self.tasks.spawn(serve(Arc::clone(&self.streams), peer, kept, request.into_inner(), outgoing));
        Ok(Response::new(answers(messages)))
    }

    type ShipStream = Answers<ShipReply>;

    async fn ship(&self, request: Request<Streaming<ShipMessage>>) -> Result<Response<Self::ShipStream>, Status> {
        let identity = identity(&request)?;
        let of = (identity.fleet.clone(), identity.node.clone());
        let (outgoing, messages) = mpsc::channel(ship::OUTGOING_MAX);
        let (tapes, hub) = (Arc::clone(&self.tapes), Arc::clone(&self.streams.hub));
        let (asked, store) = (Arc::clone(&hub), Arc::clone(&self.store));
        let admitted = async move { look_up(&asked, store.as_ref(), &identity).await.map(drop) };
        self.tasks.spawn(ship::serve(tapes, hub, of, admitted, (request.into_inner(), outgoing)));
        Ok(Response::new(answers(messages)))
    }
}

impl FleetService {
    /// Whether a node of this name is connected, to this replica or to another.
    async fn is_connected(&self, fleet: &str, name: &str) -> bool {
        let live = self.streams.hub.known(fleet);
        if live.as_ref().is_some_and(|fleet| fleet.node(name).is_some()) {
            return true;
        }
        let kept = self.store.node(fleet, name).await.ok().flatten().filter(|kept| !kept.removed);
        kept.is_some_and(|kept| is_elsewhere(live.as_deref(), &kept))
    }

    async fn denied(&self, by: Actor, reason: &str) -> Status {
        self.denials.record(by, reason).await;
        Status::unauthenticated(reason)
    }
}

/// What the store remembers of a node; an error if the node was removed. A store that is gone keeps no node out.
async fn look_up(hub: &Hub, store: &dyn Store, identity: &NodeIdentity) -> Result<Remembered, Status> {
    let NodeIdentity { fleet, node, .. } = identity;
    let asked = async {
        let kept = store.node(fleet, node).await?;
        // The number is of this database, and so is what it stands for.
        let refusal = match kept.as_ref().and_then(|kept| kept.seen.refusal.as_ref()) {
            Some((number, errors)) => {
                let version = store.version(fleet, *number).await?;
                version.map(|version| (reference(hub.epoch(), &version), from_lines(errors)))
            }
            None => None,
        };
        Ok::<_, StoreError>((kept, refusal))
    };
    let known = match store.health() {
        Ok(()) => timeout(LOOK_DEADLINE, asked).await.ok().and_then(Result::ok),
        Err(_) => None,
    };
    match known {
        Some((Some(kept), refusal)) if identity.is_of(&kept) => {
            hub.readmit(fleet, node);
            Ok(Remembered { refusal, stream: kept.stream })
        }
        Some((Some(kept), _)) if !kept.removed => Err(superseded()),
        None if !hub.is_removed(fleet, node) => Ok(Remembered::default()),
        Some(_) | None => Err(removed()),
    }
}

/// The node at the other end, by its certificate.
fn identity<T>(request: &Request<T>) -> Result<NodeIdentity, Status> {
    Connection::of(request).identity.ok_or_else(|| {
        Status::unauthenticated(
            "no node's certificate: join with a token first, then connect over TLS with what it brought",
        )
    })
}

fn unavailable(error: &StoreError) -> Status {
    Status::unavailable(error.to_string())
}

fn made_up() -> String {
    let letter = || char::from(b"abcdefghijklmnopqrstuvwxyz234567"[fastrand::usize(..32)]);
    format!("node-{}", std::iter::repeat_with(letter).take(MADE_UP_LETTERS).collect::<String>())
}
