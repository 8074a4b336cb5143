//! Nodes that the harness plays: the real protocol over real sockets, and nothing behind it. Fifty of them fit on a small machine.
//!
//! A node keeps to the protocol and demands that the control plane does; what breaks it ends in a panic of [`Follower::runs`].

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use shadowcat_net::{as_node, line, secure};
use shadowcat_proto::fleet::v1::config_status::State;
use shadowcat_proto::fleet::v1::control_message::Kind;
use shadowcat_proto::fleet::v1::fleet_client::FleetClient;
use shadowcat_proto::fleet::v1::{
    ConfigRef, ConfigStatus, ControlMessage, Hello, JoinRequest, NodeMessage, node_message,
};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// Statuses that wait for the socket. A node owes one at a time.
const OUTBOX: usize = 4;

/// A node that follows its control plane, in a task of its own.
#[derive(Debug)]
pub struct Follower {
    runs: watch::Receiver<Option<ConfigRef>>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Joins the fleet at `port` of this machine as `name`, and follows.
    pub async fn join(port: u16, token: &str, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let request = CertificateParams::default().serialize_request(&key).expect("a key can be offered");
        let signing_request = request.der().to_vec().into();
        // In plain text, which is for this machine: whom a stranger trusts is tested with real nodes.
        let plain = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("it is a URL").connect_lazy();
        let asked = JoinRequest { token: token.to_owned(), signing_request, node: name.to_owned() };
        let joined = FleetClient::new(plain).join(asked).await.expect("the token is good").into_inner();
        let chain: Vec<_> = joined.chain.into_iter().map(|der| CertificateDer::from(der.to_vec())).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = Arc::new(as_node(&chain, key).expect("the certificate is the key's"));
        let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.expect("it listens");
        let channel =
            line(secure(socket, tls).await.expect("it is the control plane")).await.expect("it speaks HTTP/2");
        let (says, runs) = watch::channel(None);
        let task = tokio::spawn(follow(channel, name.to_owned(), says));
        Self { runs, task }
    }

    /// Waits until it runs exactly this version.
    ///
    /// # Panics
    ///
    /// If the control plane broke the protocol, or the stream ended.
    pub async fn runs(&mut self, version: &ConfigRef) {
        let ended = self.runs.wait_for(|runs| runs.as_ref() == Some(version)).await.is_err();
        if ended {
            let ended = (&mut self.task).await;
            panic!("the line of a node ended: {ended:?}");
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(channel: Channel, name: String, says: watch::Sender<Option<ConfigRef>>) {
    let (sender, mut receiver) = mpsc::channel(OUTBOX);
    let hello = Hello { instance: format!("{name}-1"), ..Hello::default() };
    say(&sender, node_message::Kind::Hello(hello)).await;
    let outgoing = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let mut incoming = FleetClient::new(channel).sync(outgoing).await.expect("a stream").into_inner();
    while let Some(kind) = next(&mut incoming).await.expect("the stream goes on") {
        let Kind::Snapshot(first) = kind else {
            assert!(matches!(kind, Kind::Welcome(_)), "{name} has nothing prepared: {kind:?}");
            continue;
        };
        let version = first.r#ref.clone().expect("a snapshot is of a version");
        let before = says.borrow().as_ref().map_or(0, |runs| runs.number);
        assert!(version.number > before, "{name} runs {before} and is sent {}", version.number);
        let mut last = first.last;
        while !last {
            // One version at a time, and nothing between its pieces.
            let Ok(Some(Kind::Snapshot(piece))) = next(&mut incoming).await else { panic!("{name}: a torn snapshot") };
            assert_eq!(piece.r#ref.as_ref(), Some(&version), "{name} is sent two versions at once");
            last = piece.last;
        }
        say(&sender, status(&version, State::Prepared)).await;
        match next(&mut incoming).await.expect("the stream goes on") {
            Some(Kind::Activate(activate)) if activate.r#ref.as_ref() == Some(&version) => {}
            other => panic!("{name} has prepared {} and is to activate it, not {other:?}", version.number),
        }
        // Before it is said: whoever hears that the fleet has a version may look here next.
        says.send_replace(Some(version.clone()));
        say(&sender, status(&version, State::Applied)).await;
    }
}

async fn next(incoming: &mut Streaming<ControlMessage>) -> Result<Option<Kind>, Status> {
    Ok(incoming.message().await?.and_then(|message| message.kind))
}

async fn say(sender: &mpsc::Sender<NodeMessage>, kind: node_message::Kind) {
    sender.send(NodeMessage { kind: Some(kind) }).await.expect("the stream takes what is said");
}

fn status(version: &ConfigRef, state: State) -> node_message::Kind {
    let status = ConfigStatus { r#ref: Some(version.clone()), state: state.into(), ..ConfigStatus::default() };
    node_message::Kind::ConfigStatus(status)
}
