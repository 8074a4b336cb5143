use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequest, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize, SignatureAlgorithm,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tempfile::TempDir;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::*;
use crate::store::SqliteStore;
use crate::store::testing::joined;

async fn authority() -> (TempDir, SqliteStore, Authority) {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(directory.path().join("control-plane.db")).await.unwrap();
    let authority = Authority::open(&store).await.unwrap();
    (directory, store, authority)
}

fn request_with(key: &KeyPair) -> CertificateSigningRequest {
    CertificateParams::default().serialize_request(key).unwrap()
}

fn request() -> (KeyPair, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let request = request_with(&key).der().to_vec();
    (key, request)
}

#[tokio::test]
async fn an_authority_is_made_once_and_opened_again() {
    let (_directory, store, made) = authority().await;
    let opened = Authority::open(&store).await.unwrap();
    assert_eq!(opened.fingerprint(), made.fingerprint());
    let (_, certificate) = parse_x509_certificate(made.certificate()).unwrap();
    assert!(certificate.is_ca());
    assert_eq!(certificate.subject().to_string(), format!("CN=shadowcat {}", store.epoch()));
    let years =
        (certificate.validity().not_after.timestamp() - certificate.validity().not_before.timestamp()) / 31_536_000;
    assert_eq!(years, 10);
}

#[tokio::test]
async fn an_authority_that_is_damaged_is_told() {
    let (_directory, _store, made) = authority().await;
    let key = KeyPair::generate().unwrap().serialize_der();
    for (certificate, key, reason) in [
        (made.certificate().to_vec(), key.clone(), "its key is not the one of its certificate"),
        (made.certificate().to_vec(), vec![1, 2, 3], "damaged"),
        (vec![1, 2, 3], key, "damaged"),
    ] {
        let told = Authority::read(&AuthorityRow { certificate, key }).unwrap_err().to_string();
        assert!(told.contains(reason) && told.ends_with("restore the database from a backup"), "{told}");
    }
}

#[tokio::test]
async fn a_node_reads_its_name_from_its_certificate() {
    let (_directory, _store, authority) = authority().await;
    let (_key, request) = request();
    authority.check(&request).unwrap();
    let signed = authority.sign(&request, "default", "edge-1").unwrap();
    assert_eq!(signed.chain[1], authority.certificate().to_vec());
    let identity = NodeIdentity::from_der(&signed.chain[0]).unwrap();
    assert_eq!((identity.fleet.as_str(), identity.node.as_str()), ("default", "edge-1"));
    let now = SystemTime::now();
    let age = now.duration_since(identity.issued_at).unwrap();
    assert!(age < Duration::from_secs(60), "{age:?}");
    let left = identity.expires_at.duration_since(now).unwrap();
    assert!(left <= NODE_LIFETIME && left > NODE_LIFETIME - Duration::from_secs(60), "{left:?}");

    let (_, leaf) = parse_x509_certificate(&signed.chain[0]).unwrap();
    let validity = leaf.validity();
    assert_eq!(validity.not_after.timestamp() - validity.not_before.timestamp(), 7 * 86_400 + 300);
    assert!(!leaf.is_ca());
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && usage.server_auth);
}

#[tokio::test]
async fn nothing_but_the_key_of_a_request_is_taken() {
    let (_directory, _store, authority) = authority().await;
    let key = KeyPair::generate().unwrap();
    let mut asked = CertificateParams::new([CONTROL_PLANE.to_owned()]).unwrap();
    asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let request = asked.serialize_request(&key).unwrap();
    let signed = authority.sign(request.der(), "default", "edge-1").unwrap();
    let (_, leaf) = parse_x509_certificate(&signed.chain[0]).unwrap();
    assert!(!leaf.is_ca());
    assert_eq!(NodeIdentity::from_der(&signed.chain[0]).unwrap().node, "edge-1");
    assert_eq!(leaf.public_key().raw, key.subject_public_key_info());
}

#[tokio::test]
async fn two_certificates_of_one_key_have_two_numbers() {
    let (_directory, _store, authority) = authority().await;
    let (_key, request) = request();
    let serial = || {
        let signed = authority.sign(&request, "default", "edge-1").unwrap();
        parse_x509_certificate(&signed.chain[0]).unwrap().1.raw_serial().to_vec()
    };
    assert_ne!(serial(), serial());
}

#[tokio::test]
async fn keys_of_three_kinds_are_signed_and_others_refused_by_name() {
    let (_directory, _store, authority) = authority().await;
    let taken: [&SignatureAlgorithm; 3] = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519];
    for algorithm in taken {
        let request = request_with(&KeyPair::generate_for(algorithm).unwrap());
        authority.sign(request.der(), "default", "edge-1").unwrap();
    }
    let large = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let curve = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    for (request, kind) in [
        (request_with(&large).der().to_vec(), "an RSA key of 2048 bits"),
        (request_with(&curve).der().to_vec(), "an elliptic key on another curve"),
        (include_bytes!("rsa-1024.csr").to_vec(), "an RSA key of 1024 bits"),
    ] {
        let told = authority.check(&request).unwrap_err().to_string();
        let expected = format!("the signing request has {kind}: use ECDSA P-256 (P-384 and Ed25519 are taken too)");
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn a_request_that_is_none_is_refused() {
    let (_directory, _store, authority) = authority().await;
    let (_key, good) = request();
    let mut torn = good.clone();
    *torn.last_mut().unwrap() ^= 1;
    let mut exchanged = good.clone();
    // The key of another in a request that was signed with its own.
    let (_other, other) = request();
    let key_in = |request: &[u8]| {
        let (_, request) = X509CertificationRequest::from_der(request).unwrap();
        request.certification_request_info.subject_pki.raw.to_vec()
    };
    let place = good.windows(key_in(&good).len()).position(|bytes| bytes == key_in(&good)).unwrap();
    exchanged[place..place + key_in(&good).len()].copy_from_slice(&key_in(&other));
    let long = [good.as_slice(), &[0; MAX_REQUEST_BYTES]].concat();
    let trailing = [good.as_slice(), &[0]].concat();
    for (request, expected) in [
        (long.clone(), RequestError::TooLarge(long.len())),
        (Vec::new(), RequestError::Malformed),
        (b"-----BEGIN CERTIFICATE REQUEST-----".to_vec(), RequestError::Malformed),
        (good[..good.len() - 1].to_vec(), RequestError::Malformed),
        (trailing, RequestError::Malformed),
        (torn, RequestError::Signature),
        (exchanged, RequestError::Signature),
    ] {
        assert_eq!(authority.sign(&request, "default", "edge-1").unwrap_err(), expected);
    }
    for (fleet, node) in [("", "a"), ("a", ""), ("a/node/b", "c"), ("a", "B"), ("a", "-"), ("a", &"a".repeat(64))] {
        assert_eq!(authority.sign(&good, fleet, node).unwrap_err(), RequestError::Name);
    }
}

#[tokio::test]
async fn a_certificate_that_names_no_node_is_nobodys() {
    let (_directory, _store, authority) = authority().await;
    let server = authority.server_identity(&[]).unwrap();
    assert_eq!(NodeIdentity::from_der(&server.chain[0]), Err(IdentityError::NoNode));
    assert_eq!(NodeIdentity::from_der(authority.certificate()), Err(IdentityError::NoNode));
    assert_eq!(NodeIdentity::from_der(b"no certificate"), Err(IdentityError::Malformed));
}

#[tokio::test]
async fn a_certificate_from_before_a_node_joined_again_is_not_its_own() {
    let (_directory, store, authority) = authority().await;
    let (_key, request) = request();
    let signed = authority.sign(&request, "default", "edge-1").unwrap();
    let identity = NodeIdentity::from_der(&signed.chain[0]).unwrap();
    joined(&store, "default", "edge-1").await;
    let node = store.node("default", "edge-1").await.unwrap().unwrap();
    assert!(identity.is_of(&node));
    let stolen = NodeIdentity { issued_at: identity.issued_at - Duration::from_secs(60), ..identity.clone() };
    assert!(!stolen.is_of(&node));
    assert!(!identity.is_of(&crate::store::Node { removed: true, ..node.clone() }));
    assert!(!identity.is_of(&crate::store::Node { name: "edge-2".into(), ..node }));
}

/// TLS as a client speaks it that trusts one authority, and may have a certificate.
fn client(trusted: &Authority, shown: Option<(Vec<Vec<u8>>, KeyPair)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.certificate().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match shown {
        None => config.with_no_client_auth(),
        Some((chain, key)) => config.with_client_auth_cert(ders(chain), key.into()).unwrap(),
    }
}

/// TLS as the listener speaks it.
fn server(authority: &Authority) -> Arc<ServerConfig> {
    let names = ["planes.example.com".to_owned(), "192.0.2.7".to_owned()];
    authority.server_config(authority.server_identity(&names).unwrap()).unwrap()
}

fn ders(chain: Vec<Vec<u8>>) -> Vec<CertificateDer<'static>> {
    chain.into_iter().map(CertificateDer::from).collect()
}

/// Shakes hands in memory: the certificate that the server was shown.
fn handshake(server: Arc<ServerConfig>, client: ClientConfig, name: &str) -> Result<Option<Vec<u8>>, String> {
    let mut server = ServerConnection::new(server).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            server.read_tls(&mut bytes).unwrap();
            server.process_new_packets().map_err(|error| format!("server: {error}"))?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            client.read_tls(&mut bytes).unwrap();
            client.process_new_packets().map_err(|error| format!("client: {error}"))?;
        }
    }
    Ok(server.peer_certificates().map(|chain| chain[0].to_vec()))
}

#[tokio::test]
async fn a_server_is_known_by_its_authority_and_its_names() {
    let (_directory, _store, authority) = authority().await;
    for name in [CONTROL_PLANE, "localhost", "127.0.0.1", "::1", "planes.example.com", "192.0.2.7"] {
        assert_eq!(handshake(server(&authority), client(&authority, None), name), Ok(None), "{name}");
    }
    let refusal = handshake(server(&authority), client(&authority, None), "elsewhere.example.com").unwrap_err();
    assert!(refusal.starts_with("client: invalid peer certificate"), "{refusal}");
    let refusal = authority.server_identity(&["n\u{f6}where".to_owned()]).unwrap_err().to_string();
    assert!(refusal.starts_with("no certificate could be made"), "{refusal}");
}

#[tokio::test]
async fn a_foreign_authority_is_trusted_on_neither_side() {
    let (_directory, _store, ours) = authority().await;
    let (_other_directory, _other_store, theirs) = authority().await;
    let refusal = handshake(server(&theirs), client(&ours, None), CONTROL_PLANE).unwrap_err();
    assert!(refusal.starts_with("client: invalid peer certificate: UnknownIssuer"), "{refusal}");
    let (key, request) = request();
    let foreign = theirs.sign(&request, "default", "edge-1").unwrap();
    let refusal = handshake(server(&ours), client(&ours, Some((foreign.chain, key))), CONTROL_PLANE).unwrap_err();
    assert!(refusal.starts_with("server: invalid peer certificate: UnknownIssuer"), "{refusal}");
}

#[tokio::test]
async fn a_node_shows_its_certificate() {
    let (_directory, _store, authority) = authority().await;
    let (key, request) = request();
    let signed = authority.sign(&request, "default", "edge-1").unwrap();
    let leaf = signed.chain[0].clone();
    let shown = handshake(server(&authority), client(&authority, Some((signed.chain, key))), CONTROL_PLANE);
    assert_eq!(shown, Ok(Some(leaf)));
}

#[tokio::test]
async fn a_node_cannot_pass_for_a_control_plane_and_no_control_plane_for_a_node() {
    let (_directory, _store, authority) = authority().await;
    let (key, request) = request();
    let signed = authority.sign(&request, "default", CONTROL_PLANE).unwrap();
    let posing = ServerIdentity { chain: ders(signed.chain), key: key.into() };
    let posing = authority.server_config(posing).unwrap();
    let refusal = handshake(posing, client(&authority, None), CONTROL_PLANE).unwrap_err();
    assert!(refusal.starts_with("client: invalid peer certificate: certificate not valid for name"), "{refusal}");

    let ServerIdentity { chain, key } = authority.server_identity(&[]).unwrap();
    let chain = chain.into_iter().map(|certificate| certificate.to_vec()).collect();
    let key = KeyPair::try_from(&key).unwrap();
    let refusal = handshake(server(&authority), client(&authority, Some((chain, key))), CONTROL_PLANE).unwrap_err();
    assert!(refusal.starts_with("server: invalid peer certificate"), "{refusal}");
}
