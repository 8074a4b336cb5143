//! A control plane that dies, again and again, in the middle of what operators ask of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use shadowcat_tests::{Admin, Managed, Upstream, managed, one_route};

/// It lives for up to so long after the first of the applies that it dies under: several of them, so that every point of one is hit.
const LIFE_MAX: Duration = Duration::from_millis(40);

/// After so many deaths the nodes are waited for, and what is stored is read.
const LOOK_EVERY: usize = 20;

/// A configuration that no other apply has: the number of sessions tells which it is.
fn numbered(url: &str, apply: u64) -> Value {
    let mut configuration = one_route(url);
    configuration["routes"][0]["sessions"] = json!({ "max": 1000 + apply });
    configuration
}

/// What was asked of a control plane, and what it said to that.
#[derive(Default)]
struct Asked {
    applies: u64,
    /// Which apply became which version, as far as it was said.
    answered: BTreeMap<u64, u64>,
}

impl Asked {
    /// Applies one configuration after the other, until the control plane is gone.
    async fn until_it_dies(&mut self, admin: &mut Admin, url: &str) {
        loop {
            self.applies += 1;
            match admin.apply(&numbered(url, self.applies)).await {
                Ok(version) => self.answered.insert(version.number, self.applies),
                Err(_) => return,
            };
        }
    }

    /// Versions are whole, without gaps, each one what somebody asked for in that order; and what was answered is there.
    async fn assert_stored(&self, fleet: &Managed) -> u64 {
        let mut admin = fleet.control().admin();
        let history = admin.history().await.unwrap();
        let newest = history[0].number;
        assert!(history.iter().map(|version| version.number).eq((1..=newest).rev()), "numbers without gaps");
        let mut last = 0;
        for version in 2..=newest {
            let stored = admin.content(version).await.unwrap();
            let apply = u64::from(stored.routes[0].sessions.as_ref().unwrap().max.unwrap()) - 1000;
            assert!(last < apply && apply <= self.applies, "version {version} is apply {apply}, after {last}");
            last = apply;
            if let Some(answered) = self.answered.get(&version) {
                assert_eq!(apply, *answered, "version {version}");
            }
        }
        assert!(self.answered.keys().all(|version| *version <= newest), "what was answered is kept");
        newest
    }
}

/// Kills the control plane of a fleet `deaths` times at random points of an apply.
async fn kill_at_random_points(mut fleet: Managed, upstream: &Upstream, deaths: usize) {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let client = fleet.client(0).await;
    let mut asked = Asked::default();
    for death in 1..=deaths {
        let mut admin = fleet.control().admin();
        // Connected and known to the gate, so that the next thing it does is an apply.
        admin.history().await.unwrap();
        let life = LIFE_MAX.mul_f64(random.f64());
        let _ = tokio::time::timeout(life, asked.until_it_dies(&mut admin, &upstream.url())).await;
        fleet.control_mut(0).program().kill();
        let token = format!("death-{death}");
        assert_eq!(client.call_text("echo", json!({ "token": token })).await.unwrap(), token);
        fleet.control_mut(0).restart().await;
        if death % LOOK_EVERY == 0 {
            let newest = asked.assert_stored(&fleet).await;
            fleet.runs(newest).await;
        }
    }
    assert!(
        asked.applies >= deaths as u64 && !asked.answered.is_empty(),
        "each death was in an apply: {}",
        asked.applies
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_killed_at_any_point_of_an_apply_leaves_whole_versions() {
    let upstream = Upstream::start().await;
    let fleet = managed().data_planes(2).upstream(&upstream).start().await;
    kill_at_random_points(fleet, &upstream, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_on_postgres_killed_at_any_point_of_an_apply_leaves_whole_versions() {
    let upstream = Upstream::start().await;
    let fleet = managed().postgres().upstream(&upstream).start().await;
    kill_at_random_points(fleet, &upstream, 20).await;
}
