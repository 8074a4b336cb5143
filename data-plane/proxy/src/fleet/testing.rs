//! A control plane for tests: a real authority and a real gRPC server, whose lines the test holds in its hands.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, poll_fn};
use hyper::body::Incoming;
use hyper::rt::Executor as _;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shadowcat_config::{ConfigRef, canonical, digest, parse_fleet};
use shadowcat_net::Fingerprint;
use shadowcat_proto::fleet::v1 as wire;
use shadowcat_proto::fleet::v1::control_message::Kind;
use shadowcat_proto::fleet::v1::fleet_server::{Fleet, FleetServer};
use shadowcat_proto::fleet::v1::node_message::Kind as Said;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service as _;

/// What a test waits for comes within this, or does not.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// What signs.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    pub(super) fn new() -> Arc<Self> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Arc::new(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// A node's chain, issued now.
    pub(super) fn certify(&self, request: &[u8], fleet: &str, node: &str) -> Vec<Vec<u8>> {
        self.certify_at(SystemTime::now(), request, (fleet, node))
    }

    /// A node's chain, issued then, good for a week.
    pub(super) fn certify_at(&self, at: SystemTime, request: &[u8], (fleet, node): (&str, &str)) -> Vec<Vec<u8>> {
        let mut request = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        let name = format!("spiffe://shadowcat/fleet/{fleet}/node/{node}");
        request.params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
        request.params.not_before = at.into();
        request.params.not_after = (at + Duration::from_secs(7 * 24 * 60 * 60)).into();
        let leaf = request.signed_by(&self.issuer).unwrap();
        vec![leaf.der().to_vec(), self.certificate.to_vec()]
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// A token for this authority.
    pub(super) fn token(&self) -> String {
        format!("{}.{}", "s".repeat(43), self.fingerprint())
    }

    fn acceptor(&self, server_name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![server_name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
            .with_single_cert(
                vec![leaf.der().clone(), self.certificate.clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A running control plane; every line that a node opens comes out of [`line`](Self::line).
pub(super) struct Plane {
    pub(super) authority: Arc<Authority>,
    pub(super) address: SocketAddr,
    joins: Arc<AtomicUsize>,
    lines: mpsc::Receiver<HeldLine>,
    shipments: mpsc::Receiver<HeldShipment>,
}

/// One line, from the control plane's side.
pub(super) struct HeldLine {
    pub(super) hello: wire::Hello,
    /// Certificates that the node showed.
    pub(super) shown: Vec<CertificateDer<'static>>,
    from_node: Streaming<wire::NodeMessage>,
    to_node: mpsc::Sender<Result<wire::ControlMessage, Status>>,
}

/// The line on which recorded traffic comes, from the control plane's side.
pub(super) struct HeldShipment {
    from_node: Streaming<wire::ShipMessage>,
    to_node: mpsc::Sender<Result<wire::ShipReply, Status>>,
}

impl HeldShipment {
    /// Takes as many offers as a node makes.
    pub(super) async fn welcome(&self) {
        let redaction_key = Bytes::from_static(&[7; 32]);
        let welcome = wire::ShipWelcome { redaction_key, offers_max: 256, traffic_every_ms: 60_000 };
        let kind = Some(wire::ship_reply::Kind::Welcome(welcome));
        self.to_node.send(Ok(wire::ShipReply { kind })).await.expect("the node listens");
    }

    /// The number of the next segment that the node offers.
    pub(super) async fn offered(&mut self) -> u64 {
        let hearing = async {
            loop {
                let said = self.from_node.message().await.expect("the line holds").expect("the node stays");
                if let Some(wire::ship_message::Kind::Offer(offer)) = said.kind {
                    return offer.sequence;
                }
            }
        };
        timeout(SOON, hearing).await.expect("the node offers a segment")
    }
}

impl Plane {
    pub(super) async fn start() -> Self {
        Self::of(Authority::new(), "shadowcat-control-plane", "127.0.0.1:0").await
    }

    pub(super) async fn of(authority: Arc<Authority>, server_name: &str, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (opened, lines) = mpsc::channel(8);
        let (shipped, shipments) = mpsc::channel(8);
        let joins = Arc::default();
        let service = Service { authority: Arc::clone(&authority), joins: Arc::clone(&joins), opened, shipped };
        TokioExecutor::new().execute(serve(listener, authority.acceptor(server_name), FleetServer::new(service)));
        Self { authority, address, joins, lines, shipments }
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// How often a machine was let into the fleet.
    pub(super) fn joins(&self) -> usize {
        self.joins.load(Ordering::Relaxed)
    }

    /// The next line that a node opens.
    pub(super) async fn line(&mut self) -> HeldLine {
        timeout(SOON, self.lines.recv()).await.expect("a node opens a line").unwrap()
    }

    /// The next line that a node opens for what it has recorded.
    pub(super) async fn shipment(&mut self) -> HeldShipment {
        timeout(SOON, self.shipments.recv()).await.expect("a node ships").unwrap()
    }
}

impl HeldLine {
    pub(super) async fn say(&self, kind: Kind) {
        self.to_node.send(Ok(wire::ControlMessage { kind: Some(kind) })).await.expect("the node listens");
    }

    pub(super) async fn refuse(self, status: Status) {
        self.to_node.send(Err(status)).await.expect("the node listens");
    }

    pub(super) async fn welcome(&self) {
        let fleet = "prod".to_owned();
        self.say(Kind::Welcome(wire::Welcome { health_every_ms: 100, fleet, current: None })).await;
    }

    pub(super) async fn send(&self, (version, canonical): &(ConfigRef, Bytes)) {
        for chunk in chunks(version, canonical) {
            self.say(Kind::Snapshot(chunk)).await;
        }
    }

    pub(super) async fn activate(&self, version: &ConfigRef) {
        let activate = wire::Activate { r#ref: Some(super::provenance::to_wire(version)) };
        self.say(Kind::Activate(activate)).await;
    }

    /// The next thing that the node says and `wanted` takes.
    pub(super) async fn hear<T>(&mut self, mut wanted: impl FnMut(Said) -> Option<T>) -> T {
        let hearing = async {
            loop {
                let said = self.from_node.message().await.expect("the line holds").expect("the node stays");
                if let Some(found) = said.kind.and_then(&mut wanted) {
                    return found;
                }
            }
        };
        timeout(SOON, hearing).await.expect("the node says what is waited for")
    }

    pub(super) async fn status(&mut self) -> wire::ConfigStatus {
        self.hear(|said| match said {
            Said::ConfigStatus(status) => Some(status),
            _ => None,
        })
        .await
    }

    pub(super) async fn command(&mut self, command: wire::command::Kind) -> wire::command_reply::Kind {
        let id = 7;
        self.say(Kind::Command(wire::Command { id, deadline_ms: 5_000, kind: Some(command) })).await;
        self.hear(|said| match said {
            Said::CommandReply(reply) if reply.id == id => reply.kind,
            _ => None,
        })
        .await
    }

    /// Brings a version all the way.
    pub(super) async fn bring(&mut self, version: &(ConfigRef, Bytes)) {
        self.send(version).await;
        assert_eq!(self.status().await.state(), wire::config_status::State::Prepared);
        self.activate(&version.0).await;
        assert_eq!(self.status().await.state(), wire::config_status::State::Applied);
    }
}

/// Version `number` of a fleet: one route at `path`.
pub(super) fn version(number: u64, path: &str) -> (ConfigRef, Bytes) {
    version_of(number, path, "")
}

/// Version `number` of a fleet, with a route at `/mcp` for which the node needs what is in the file `secret`.
pub(super) fn version_with_secret(number: u64, secret: &Path) -> (ConfigRef, Bytes) {
    version_of(number, "/mcp", &format!(", headers: [{{ name: x-key, secret: 'file:{}' }}]", secret.display()))
}

fn version_of(number: u64, path: &str, headers: &str) -> (ConfigRef, Bytes) {
    let text = format!(
        "routes:\n  - {{ name: a, match: {{ path: {path} }}, targets: [{{ upstream: a }}] }}\n\
         upstreams:\n  - {{ name: a, http: {{ endpoints: [{{ url: 'http://127.0.0.1:9/mcp' }}]{headers} }} }}\n"
    );
    let source = parse_fleet(&[("fleet.yaml".to_owned(), text)]).unwrap();
    let canonical = Bytes::from(canonical(source.config()));
    (ConfigRef { epoch: "e".repeat(32), number, digest: digest(&canonical) }, canonical)
}

/// A version as it is sent, in pieces smaller than those of a real one.
pub(super) fn chunks(version: &ConfigRef, canonical: &[u8]) -> Vec<wire::SnapshotChunk> {
    let packed = Bytes::from(zstd::encode_all(canonical, 3).unwrap());
    let pieces: Vec<_> = (0..packed.len()).step_by(16).map(|at| packed.slice(at..packed.len().min(at + 16))).collect();
    let last = pieces.len() - 1;
    let chunk = |(index, bytes): (usize, Bytes)| wire::SnapshotChunk {
        r#ref: Some(super::provenance::to_wire(version)),
        total_bytes: packed.len() as u32,
        config_bytes: canonical.len() as u32,
        index: index as u32,
        last: index == last,
        bytes,
    };
    pieces.into_iter().enumerate().map(chunk).collect()
}

struct Service {
    authority: Arc<Authority>,
    joins: Arc<AtomicUsize>,
    opened: mpsc::Sender<HeldLine>,
    shipped: mpsc::Sender<HeldShipment>,
}

#[async_trait::async_trait]
impl Fleet for Service {
    type SyncStream = BoxStream<'static, Result<wire::ControlMessage, Status>>;
    type ShipStream = BoxStream<'static, Result<wire::ShipReply, Status>>;

    async fn join(&self, request: Request<wire::JoinRequest>) -> Result<Response<wire::JoinResponse>, Status> {
        let request = request.into_inner();
        if request.token != self.authority.token() {
            return Err(Status::unauthenticated("this join token is not known here"));
        }
        self.joins.fetch_add(1, Ordering::Relaxed);
        let node = if request.node.is_empty() { "made-up".to_owned() } else { request.node };
        let chain = self.authority.certify(&request.signing_request, "prod", &node);
        let chain = chain.into_iter().map(Bytes::from).collect();
        Ok(Response::new(wire::JoinResponse { node, fleet: "prod".to_owned(), chain }))
    }

    async fn renew(&self, request: Request<wire::RenewRequest>) -> Result<Response<wire::RenewResponse>, Status> {
        let chain = self.authority.certify(&request.into_inner().signing_request, "prod", "renewed");
        Ok(Response::new(wire::RenewResponse { chain: chain.into_iter().map(Bytes::from).collect() }))
    }

    async fn sync(&self, request: Request<Streaming<wire::NodeMessage>>) -> Result<Response<Self::SyncStream>, Status> {
        let shown = request.extensions().get::<Shown>().map(|shown| shown.0.clone()).unwrap_or_default();
        let mut from_node = request.into_inner();
        let Some(Said::Hello(hello)) = from_node.message().await?.and_then(|message| message.kind) else {
            return Err(Status::invalid_argument("the first message is Hello"));
        };
        let (to_node, mut said) = mpsc::channel(8);
        let line = HeldLine { hello, shown, from_node, to_node };
        self.opened.send(line).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(poll_fn(move |cx| said.poll_recv(cx)).boxed()))
    }

    async fn ship(&self, request: Request<Streaming<wire::ShipMessage>>) -> Result<Response<Self::ShipStream>, Status> {
        let (to_node, mut said) = mpsc::channel(8);
        let shipment = HeldShipment { from_node: request.into_inner(), to_node };
        self.shipped.send(shipment).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(poll_fn(move |cx| said.poll_recv(cx)).boxed()))
    }
}

/// The certificates that a client showed.
#[derive(Debug, Clone)]
struct Shown(Vec<CertificateDer<'static>>);

async fn serve(listener: TcpListener, tls: TlsAcceptor, service: FleetServer<Service>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (tls, service) = (tls.clone(), service.clone());
        TokioExecutor::new().execute(async move {
            // What fails to shake hands is the client's to tell.
            let Ok(secured) = tls.accept(tcp).await else { return };
            let shown = secured.get_ref().1.peer_certificates().unwrap_or_default();
            let shown = Shown(shown.iter().map(|certificate| certificate.clone().into_owned()).collect());
            let answer = service_fn(move |mut request: http::Request<Incoming>| {
                request.extensions_mut().insert(shown.clone());
                service.clone().call(request)
            });
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(secured), answer).await;
        });
    }
}
