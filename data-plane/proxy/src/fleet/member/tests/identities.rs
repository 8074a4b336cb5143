//! Who a member is: how it joins, renews, and keeps what it was issued, or cannot.

use super::*;

fn two_days_ago() -> SystemTime {
    SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60)
}

/// Leaves the identity of an earlier start, as edge-1, issued then.
async fn joined(at: SystemTime, authority: &Authority, dir: &TempDir) {
    let request = Request::new().unwrap();
    let chain = authority.certify_at(at, &request.der, ("prod", "edge-1"));
    request.issued(chain).unwrap().keep(dir.path()).await;
}

/// Makes what a new identity is written to a file that nobody can write, not even root.
fn block(dir: &TempDir) -> PathBuf {
    let file = dir.path().join("identity/node.pem.tmp");
    fs::create_dir_all(&file).unwrap();
    file
}

fn has_renewed(dir: &TempDir) -> bool {
    Identity::load(dir.path()).unwrap().is_some_and(|identity| identity.node == "renewed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_certificate_is_renewed_with_another_key() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    joined(two_days_ago(), &plane.authority, &dir).await;
    let before = fs::read(dir.path().join("identity/node.pem")).unwrap();
    let node = start(settings(&plane, &dir)).await;
    let line = plane.line().await;
    line.welcome().await;
    node.eventually("the certificate is renewed", async |_: &Node| has_renewed(&dir)).await;
    assert_ne!(fs::read(dir.path().join("identity/node.pem")).unwrap(), before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_node_is_back_once_it_is_started_with_a_new_token() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    joined(SystemTime::now(), &plane.authority, &dir).await;
    // The name it gets tells which identity it has.
    let node = start(MemberSettings { node: None, ..settings(&plane, &dir) }).await;
    plane.line().await.refuse(Status::permission_denied("this node was removed")).await;
    let mut line = plane.line().await;
    assert_eq!(Identity::load(dir.path()).unwrap().expect("it has one").node, "made-up");
    line.welcome().await;
    line.bring(&version(1, "/first")).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_is_given_up_only_for_another_and_only_if_it_was_never_good_in_this_boot() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    joined(SystemTime::now(), &plane.authority, &dir).await;
    let unknown = plane.authority.token().replace('s', "t");
    let settings = MemberSettings { join_token: Some(unknown.parse().unwrap()), ..settings(&plane, &dir) };
    let gateway = gateway().await;
    let mut following = Member::open(settings).unwrap().start(gateway.control()).await;

    let mut welcomed = None;
    let removed = || Status::permission_denied("this node was removed");
    let (ended, ()) = tokio::join!(following.once(&mut welcomed), async { plane.line().await.refuse(removed()).await });
    assert!(matches!(ended, Err(LineError::Refused(_))) && following.may_join_again(welcomed), "{ended:?}");
    assert!(matches!(Box::pin(following.join()).await, Err(LineError::NotLetIn(_))));
    assert_eq!(Identity::load(dir.path()).unwrap().expect("it is kept").node, "edge-1");

    let (ended, ()) = tokio::join!(following.once(&mut welcomed), async {
        let line = plane.line().await;
        line.welcome().await;
        line.refuse(removed()).await;
    });
    assert!(matches!(ended, Err(LineError::Refused(_))) && !following.may_join_again(welcomed), "{ended:?}");
    assert!(!following.may_join_again(None), "it was good in this boot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_disk_takes_no_identity_joins_once_and_serves() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    block(&dir);
    let node = start(settings(&plane, &dir)).await;
    let mut line = plane.line().await;
    line.welcome().await;
    line.bring(&version(1, "/first")).await;
    assert_eq!((node.ready().await, node.status_of("/first").await), (200, 502));
    line.refuse(Status::unavailable("restarting")).await;
    let mut line = plane.line().await;
    line.welcome().await;
    line.bring(&version(2, "/second")).await;
    assert_eq!((plane.joins(), node.status_of("/second").await), (1, 502));
    assert!(Identity::load(dir.path()).unwrap().is_none());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_that_cannot_be_kept_is_used_and_the_next_one_kept() {
    let (mut plane, dir) = (Plane::start().await, tempfile::tempdir().unwrap());
    joined(two_days_ago(), &plane.authority, &dir).await;
    let blocked = block(&dir);
    let node = start(settings(&plane, &dir)).await;
    let another_is_shown = async {
        let mut line = plane.line().await;
        let old = line.shown.clone();
        while line.shown == old {
            line.welcome().await;
            // It renews at once; meanwhile it says twice how it is.
            for _ in 0..2 {
                line.hear(|said| matches!(said, Said::NodeHealth(_)).then_some(())).await;
            }
            line.refuse(Status::unavailable("restarting")).await;
            line = plane.line().await;
        }
    };
    timeout(SOON, another_is_shown).await.expect("the renewed certificate is shown");
    assert_eq!(Identity::load(dir.path()).unwrap().expect("the old one stays").node, "edge-1");
    node.stop().await;

    fs::remove_dir(blocked).unwrap();
    let node = start(settings(&plane, &dir)).await;
    plane.line().await.welcome().await;
    node.eventually("a new certificate is kept", async |_: &Node| has_renewed(&dir)).await;
    assert_eq!(plane.joins(), 0);
    node.stop().await;
}

/// What a machine with this token learns when it tries to join at `plane`.
async fn join_with(token: &str, plane: &Plane) -> LineError {
    let dir = tempfile::tempdir().unwrap();
    let settings = MemberSettings { join_token: Some(token.parse().unwrap()), ..settings(plane, &dir) };
    let gateway = gateway().await;
    let mut following = Member::open(settings).unwrap().start(gateway.control()).await;
    let error = Box::pin(following.join()).await.expect_err("it joined");
    assert!(Identity::load(dir.path()).unwrap().is_none());
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_only_to_the_authority_it_names() {
    let plane = Plane::start().await;
    let another = Authority::new();
    let error = join_with(&another.token(), &plane).await;
    assert!(error.is_final() && error.to_string().contains("not this fleet's control plane"), "{error}");

    // The right authority, but a certificate that is for something else.
    let plane = Plane::of(another, "edge-7", "127.0.0.1:0").await;
    let error = join_with(&plane.authority.token(), &plane).await;
    assert!(error.to_string().contains("not this fleet's control plane"), "{error}");

    let unknown = plane.authority.token().replace('s', "t");
    let plane = Plane::of(plane.authority, "shadowcat-control-plane", "127.0.0.1:0").await;
    let error = join_with(&unknown, &plane).await;
    let told = "the control plane does not let this node in: this join token is not known here";
    assert_eq!((error.to_string().as_str(), error.is_final()), (told, true));
}

#[tokio::test]
async fn a_directory_of_another_node_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let settings = |authority: &Authority, node: Option<&str>| MemberSettings {
        control_plane: "https://127.0.0.1:1".parse().unwrap(),
        join_token: Some(authority.token().parse().unwrap()),
        seed: None,
        data_dir: dir.path().to_owned(),
        labels: BTreeMap::new(),
        node: node.map(str::to_owned),
    };
    let ours = Authority::new();
    let told = |settings: MemberSettings| Member::open(settings).unwrap_err().to_string();
    let stranger = MemberSettings { join_token: None, ..settings(&ours, None) };
    assert!(told(stranger.clone()).contains("give --join-token"));

    joined(SystemTime::now(), &ours, &dir).await;
    assert!(Member::open(stranger).is_ok());
    assert!(told(settings(&Authority::new(), None)).contains("node edge-1 in fleet prod, of another control plane"));
    assert!(told(settings(&ours, Some("edge-2"))).contains("the identity of node edge-1, not edge-2"));
}
