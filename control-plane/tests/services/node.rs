//! A node as the test plays it: the real protocol, and answers as the test wants them.

use std::net::SocketAddr;

use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use shadowcat_proto::fleet::v1::config_status::State;
use shadowcat_proto::fleet::v1::control_message::Kind;
use shadowcat_proto::fleet::v1::fleet_client::FleetClient;
use shadowcat_proto::fleet::v1::{
    CommandReply, ConfigError, ConfigRef, ConfigStatus, ControlMessage, Hello, JoinRequest, NodeMessage, RenewRequest,
    command_reply, node_message,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::harness::{Plane, SOON, secured};

/// A node that has joined.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Node {
    /// Joins over TLS; an empty name lets the control plane make one up.
    pub(crate) async fn join(plane: &Plane, token: &str, name: &str) -> Result<Self, Status> {
        let key = KeyPair::generate().unwrap();
        let request = JoinRequest { token: token.to_owned(), signing_request: request(&key), node: name.to_owned() };
        let joined = FleetClient::new(plane.secured(None)).join(request).await?.into_inner();
        assert_eq!(joined.fleet, "default");
        assert_eq!(joined.chain.last().unwrap(), plane.authority.as_ref());
        let chain = joined.chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
        Ok(Self { name: joined.node, chain, key })
    }

    /// Joins with a token of its own.
    pub(crate) async fn new(plane: &Plane, name: &str) -> Self {
        Self::join(plane, &plane.join_token(1).await, name).await.unwrap()
    }

    fn client(&self, plane: &Plane) -> FleetClient<Channel> {
        self.client_at(plane.grpc, &plane.authority)
    }

    /// Its way to a control plane of this authority.
    pub(crate) fn client_at(&self, address: SocketAddr, authority: &CertificateDer<'static>) -> FleetClient<Channel> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        FleetClient::new(secured(address, authority, Some((self.chain.clone(), key))))
    }

    pub(crate) async fn renew(&mut self, plane: &Plane) -> Result<(), Status> {
        let renewed = self.client(plane).renew(RenewRequest { signing_request: request(&self.key) }).await?;
        self.chain = renewed.into_inner().chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
        Ok(())
    }

    /// Opens the stream and says hello.
    pub(crate) async fn connect(&self, plane: &Plane, hello: Hello) -> Result<Stream, Status> {
        let (sender, mut receiver) = mpsc::channel(16);
        let stream = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let incoming = self.client(plane).sync(stream).await?.into_inner();
        let stream = Stream { sender, incoming };
        stream.say(node_message::Kind::Hello(hello)).await;
        Ok(stream)
    }

    /// Opens the stream with nothing, under an instance of the node's name, and takes the welcome.
    pub(crate) async fn connected(&self, plane: &Plane) -> Stream {
        self.connected_with(plane, None).await
    }

    /// The same with a version.
    pub(crate) async fn connected_with(&self, plane: &Plane, have: Option<ConfigRef>) -> Stream {
        let hello = Hello { instance: format!("{}-1", self.name), have, ..Hello::default() };
        let mut stream = self.connect(plane, hello).await.unwrap();
        stream.welcomed().await;
        stream
    }
}

fn request(key: &KeyPair) -> bytes::Bytes {
    assert!(!key.der_bytes().is_empty());
    let request = CertificateParams::default().serialize_request(key).unwrap();
    request.der().to_vec().into()
}

/// A node's stream.
pub(crate) struct Stream {
    sender: mpsc::Sender<NodeMessage>,
    incoming: Streaming<ControlMessage>,
}

impl Stream {
    pub(crate) async fn say(&self, kind: node_message::Kind) {
        self.sender.send(NodeMessage { kind: Some(kind) }).await.unwrap();
    }

    pub(crate) async fn status(&self, reference: &ConfigRef, state: State) {
        let errors = match state {
            State::Rejected => {
                vec![ConfigError { path: "routes[0]".to_owned(), message: "not here".to_owned(), hint: String::new() }]
            }
            _ => Vec::new(),
        };
        let status =
            ConfigStatus { r#ref: Some(reference.clone()), state: state.into(), errors, ..ConfigStatus::default() };
        self.say(node_message::Kind::ConfigStatus(status)).await;
    }

    pub(crate) async fn reply(&self, id: u64, kind: command_reply::Kind) {
        self.say(node_message::Kind::CommandReply(CommandReply { id, kind: Some(kind) })).await;
    }

    /// What comes next, soon.
    pub(crate) async fn next(&mut self) -> Result<Kind, Status> {
        let message = timeout(SOON, self.incoming.message()).await.expect("something comes soon")?;
        message.ok_or_else(|| Status::ok("the stream ended"))?.kind.ok_or_else(|| Status::internal("empty"))
    }

    /// Nothing comes for a while.
    pub(crate) async fn is_silent(&mut self) {
        let while_ = std::time::Duration::from_millis(300);
        if let Ok(message) = timeout(while_, self.incoming.message()).await {
            panic!("nothing was to come: {message:?}");
        }
    }

    /// The word with which the stream ends.
    pub(crate) async fn ended(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }

    pub(crate) async fn welcomed(&mut self) {
        match self.next().await.unwrap() {
            Kind::Welcome(welcome) => assert_eq!(welcome.fleet, "default"),
            other => panic!("first comes the welcome: {other:?}"),
        }
    }

    /// Takes a whole snapshot.
    pub(crate) async fn snapshot(&mut self) -> ConfigRef {
        let mut packed = Vec::new();
        let mut unpacked_bytes = 0;
        for index in 0.. {
            let Kind::Snapshot(chunk) = self.next().await.unwrap() else { panic!("a snapshot comes in one piece") };
            assert_eq!(chunk.index, index);
            if index == 0 {
                unpacked_bytes = chunk.config_bytes as usize;
            }
            packed.extend_from_slice(&chunk.bytes);
            if chunk.last {
                let content = zstd::bulk::decompress(&packed, unpacked_bytes).unwrap();
                let reference = chunk.r#ref.unwrap();
                assert_eq!(shadowcat_config::digest(&content).as_bytes(), &reference.digest);
                return reference;
            }
        }
        unreachable!("a snapshot ends")
    }

    /// Takes a version to where it runs.
    pub(crate) async fn takes(&mut self) -> ConfigRef {
        let reference = self.snapshot().await;
        self.status(&reference, State::Prepared).await;
        match self.next().await.unwrap() {
            Kind::Activate(activate) => assert_eq!(activate.r#ref.as_ref(), Some(&reference)),
            other => panic!("what was prepared is activated: {other:?}"),
        }
        self.status(&reference, State::Applied).await;
        reference
    }
}
