//! Nodes and databases that are not what they were, or never were: each is told in words, and no call notices.

use std::time::Duration;

use serde_json::{Value, json};
use shadowcat_tests::{DataPlane, Managed, Upstream, eventually, managed, one_route};

/// A node that nobody lets in asks again within fifteen seconds, and says so the first time.
const TOLD: Duration = Duration::from_secs(20);

/// `one_route` with a number in it.
fn numbered(upstream: &Upstream, number: u32) -> Value {
    let mut configuration = one_route(&upstream.url());
    configuration["routes"][0]["sessions"] = json!({ "max": 1000 + number });
    configuration
}

async fn says(plane: &DataPlane, words: &str) {
    eventually(&format!("the node says: {words}"), TOLD, async || plane.log().contains(words).then_some(())).await;
}

async fn control_says(fleet: &Managed, words: &str) {
    let log = async || fleet.control().log().contains(words).then_some(());
    eventually(&format!("the control plane says: {words}"), TOLD, log).await;
}

async fn serves(fleet: &Managed, plane: usize) {
    let token = format!("{}", fastrand::u64(..));
    assert_eq!(fleet.client(plane).await.call_text("echo", json!({ "token": token })).await.unwrap(), token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_token_that_does_not_let_in_is_told_with_what_to_do() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().upstream(&upstream).start().await;
    let good = fleet.join_token().await;
    let (secret, authority) = good.split_once('.').unwrap();
    // The last letter of base64 has bits to spare that must be zero.
    let (letters, last) = secret.split_at(secret.len() - 1);
    let wrong = format!("{}{last}.{authority}", letters.chars().rev().collect::<String>());
    let strange = format!("{secret}.{}", authority.chars().rev().collect::<String>());

    let wrong = fleet.add_data_plane_with(&wrong, &[]);
    says(fleet.plane(wrong), "the join token is unknown here: make one with `shadowcatctl nodes token`").await;
    let strange = fleet.add_data_plane_with(&strange, &[]);
    says(fleet.plane(strange), "is not this fleet's control plane").await;
    fleet.control().sqlite().expire_join_tokens().await;
    let expired = fleet.add_data_plane_with(&good, &[]);
    says(fleet.plane(expired), "expired").await;
    for plane in [wrong, strange, expired] {
        assert_eq!(fleet.plane(plane).health("/health/ready").await.unwrap().0, 503);
    }
    let audit = fleet.control().ctl(&["audit", "list", "-o", "json"]).await.ok();
    assert!(audit.contains("nodes.join") && audit.contains("expired"), "{audit}");
    serves(&fleet, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_was_copied_is_told_on_both_sides_and_both_serve() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().upstream(&upstream).start().await;
    let clone = fleet.clone_data_plane(0);
    fleet.plane_mut(clone).ready().await;
    control_says(&fleet, "two instances claim one name").await;
    says(fleet.plane(0), "another machine uses this node's identity").await;
    says(fleet.plane(0), "give each its own --data-dir").await;
    serves(&fleet, 0).await;
    serves(&fleet, clone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_database_is_told_and_served() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().upstream(&upstream).start().await;
    let seed = fleet.dir().join("other.seed").to_str().unwrap().to_owned();
    fleet.apply(&numbered(&upstream, 2)).await;
    fleet.runs(2).await;
    fleet.control().ctl(&["show", "2", "--seed", &seed]).await.ok();

    // Everything is gone, the authority with it: whoever answers now may be anybody.
    fleet.control_mut(0).program().kill();
    fleet.control().sqlite().remove();
    fleet.control_mut(0).restart().await;
    says(fleet.plane(0), "is not this fleet's control plane").await;
    serves(&fleet, 0).await;
    assert_eq!(fleet.apply(&numbered(&upstream, 1)).await, 1);
    // A node that knows the new authority and comes with a version of the old database gets what the new one has.
    let seeded = fleet.add_data_plane(&["--seed", &seed]).await;
    fleet.plane_mut(seeded).ready().await;
    fleet.plane(seeded).metric_is("shadowcat_config_version", 1.0, TOLD).await;
    control_says(&fleet, "the node comes from another fleet or database").await;
    serves(&fleet, seeded).await;
    assert_eq!(fleet.plane(0).metrics().await.sum("shadowcat_config_version", &[]), Some(2.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_ahead_of_a_restored_database_is_told_and_followed_once_it_is_passed() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().upstream(&upstream).start().await;
    let copies = fleet.dir().to_owned();
    fleet.control_mut(0).program().kill();
    fleet.control().sqlite().copy_to(&copies);
    fleet.control_mut(0).restart().await;
    for version in 2..=3 {
        assert_eq!(fleet.apply(&numbered(&upstream, version)).await, u64::from(version));
    }
    fleet.runs(3).await;

    fleet.control_mut(0).program().kill();
    fleet.control().sqlite().restore_from(&copies);
    fleet.control_mut(0).restart().await;
    control_says(&fleet, "the node runs a version that this database does not have").await;
    let nodes = fleet.control().ctl(&["nodes", "list"]).await.ok();
    assert!(nodes.contains("ahead"), "{nodes}");
    // Numbers that the node has seen with another content do not reach it.
    for version in 2..=3 {
        fleet.control().ctl(&["apply", "-f", &fleet.file(&numbered(&upstream, 10 + version)), "--no-wait"]).await.ok();
    }
    serves(&fleet, 0).await;
    assert_eq!(fleet.plane(0).metrics().await.sum("shadowcat_config_version", &[]), Some(3.0));
    assert_eq!(fleet.apply(&numbered(&upstream, 20)).await, 4);
    fleet.runs(4).await;
    serves(&fleet, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_snapshot_on_disk_is_set_aside_and_the_one_before_serves() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().upstream(&upstream).start().await;
    fleet.apply(&numbered(&upstream, 2)).await;
    fleet.runs(2).await;
    let config = fleet.plane(0).data_dir().join("config");
    let newest = async || {
        let files = std::fs::read_dir(&config).unwrap().map(|entry| entry.unwrap().path());
        let mut snapshots = files.filter(|path| path.extension().is_some_and(|end| end == "snapshot"));
        snapshots.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("2-"))
    };
    let newest = eventually("version 2 is on the disk", TOLD, newest).await;
    fleet.control_mut(0).program().kill();
    fleet.plane_mut(0).program().kill();
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();

    fleet.plane_mut(0).start_again();
    fleet.plane_mut(0).ready().await;
    assert!(fleet.plane(0).log().contains("a snapshot is not usable"), "{}", fleet.plane(0).log());
    assert!(newest.with_extension("bad").exists() && !newest.exists());
    fleet.plane(0).metric_is("shadowcat_config_version", 1.0, TOLD).await;
    serves(&fleet, 0).await;
    fleet.control_mut(0).restart().await;
    fleet.runs(2).await;
    serves(&fleet, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_file_that_is_locked_or_gone_is_told_and_nothing_is_lost() {
    let upstream = Upstream::start().await;
    let fleet = managed().upstream(&upstream).start().await;
    let (control, database) = (fleet.control(), fleet.control().sqlite());
    let file = fleet.file(&numbered(&upstream, 2));
    let refused = async |words: &[&str]| {
        let said = control.ctl(&["apply", "-f", &file]).await;
        let told = words.iter().any(|words| said.err.contains(words));
        assert!(said.code != 0 && said.err.contains("the database is not available") && told, "{said:?}");
        serves(&fleet, 0).await;
    };
    let locked = database.lock().await;
    // On a busy machine the time of an operation may be over before that of a lock.
    refused(&["another process has kept it locked", "no answer within"]).await;
    drop(locked);
    database.hide();
    refused(&["was moved or deleted while in use: put it back"]).await;
    database.unhide();

    let taken = async || (control.ctl(&["apply", "-f", &file]).await.code == 0).then_some(());
    eventually("changes are taken again", TOLD, taken).await;
    fleet.runs(2).await;
    assert_eq!(control.admin().history().await.unwrap().len(), 2, "what was refused left nothing");
    serves(&fleet, 0).await;
}
