//! What replicas tell each other of traffic.

use std::time::{Duration, SystemTime};

use shadowcat_control_plane::store::SharedTraffic;

use crate::subject::Subject;
use crate::support::FLEET;

fn told(fleet: &str, replica: &str, (ago, sums): (u64, &'static [u8])) -> SharedTraffic {
    let at = SystemTime::now() - Duration::from_secs(ago);
    // Times are kept to the millisecond.
    let millis = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap());
    SharedTraffic { fleet: fleet.to_owned(), replica: replica.to_owned(), at, sums: sums.into() }
}

pub(crate) async fn what_a_replica_tells_is_kept_until_it_tells_anew_or_is_gone(subject: Subject) {
    let store = &subject.store;
    assert_eq!(store.shared_traffic(FLEET).await.unwrap(), []);
    let (gone, a, b) = (told(FLEET, "gone", (61, b"old")), told(FLEET, "a", (20, b"1")), told(FLEET, "b", (0, b"")));
    store.share_traffic(&[gone, told("another", "a", (0, b"2"))]).await.unwrap();
    store.share_traffic(&[a, b.clone()]).await.unwrap();
    let anew = told(FLEET, "a", (1, b"3"));
    store.share_traffic(std::slice::from_ref(&anew)).await.unwrap();
    store.share_traffic(&[]).await.unwrap();
    assert_eq!(store.shared_traffic(FLEET).await.unwrap(), [anew, b]);
}
