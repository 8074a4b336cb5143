//! The gateway behind its own certificate, with each version of HTTP that a client may offer (ALPN).

use std::time::Duration;

use http::Version;
use serde_json::json;
use shadowcat_tests::{Client, Upstream, fleet, within};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_and_a_stream_work_over_tls_with_each_version_of_http() {
    let upstream = Upstream::start().await;
    let fleet = fleet().tls().upstream(&upstream).start().await;
    let offers: [(&[Version], Version); 3] = [
        (&[Version::HTTP_11], Version::HTTP_11),
        (&[Version::HTTP_2], Version::HTTP_2),
        (&[Version::HTTP_11, Version::HTTP_2], Version::HTTP_2),
    ];
    for (number, (offered, agreed)) in offers.into_iter().enumerate() {
        let client = Client::over_tls(fleet.secure_url(0), &fleet.certificate(), offered);
        let client = within("a session over TLS", SOON, client.open_session()).await.unwrap();
        let reply = client.start("echo", json!({ "message": "ü世界" })).await.unwrap();
        assert_eq!(reply.version(), agreed, "offered {offered:?}");
        assert_eq!(reply.result().await.unwrap()["content"][0]["text"], "ü世界");

        let token = format!("stream-{number}");
        let gate = upstream.gate(&token);
        gate.release(1);
        let mut events = client.start("stream", json!({ "token": token, "events": 3 })).await.unwrap().events();
        for step in 1..=3 {
            let event = within("an event", SOON, events.next_message()).await.unwrap().unwrap();
            assert_eq!(event.json()["params"]["progress"], step, "offered {offered:?}");
            assert_eq!(gate.sent(), step, "an event arrives before the next one exists");
            gate.release(1);
        }
        assert_eq!(within("the answer", SOON, events.result()).await.unwrap()["content"][0]["text"], "done");
        client.end_session().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_with_tls_serves_nobody_without_it() {
    let upstream = Upstream::start().await;
    let fleet = fleet().tls().upstream(&upstream).start().await;
    let refused = within("an end", SOON, Client::to(fleet.url(0)).open_session()).await.unwrap_err();
    assert_eq!((refused.status, upstream.messages("initialize")), (None, 0), "{refused}");
}
