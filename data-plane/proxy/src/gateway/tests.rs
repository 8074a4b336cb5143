use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Request;
use shadowcat_config::parse_local;

use super::*;

const UPSTREAMS: usize = 1_000;

/// Every one of the upstreams is another with each `generation`, so that nothing is taken over.
fn large(generation: usize) -> Config {
    let mut text = String::from("routes:\n");
    for number in 0..UPSTREAMS {
        writeln!(text, "- {{ name: r{number}, match: {{ path: /{number} }}, targets: [{{ upstream: u{number} }}] }}")
            .unwrap();
    }
    text.push_str("upstreams:\n");
    for number in 0..UPSTREAMS {
        let url = format!("http://127.0.0.1:9/{generation}");
        writeln!(text, "- {{ name: u{number}, http: {{ endpoints: [{{ url: '{url}' }}] }} }}").unwrap();
    }
    parse_local(&text, "large.yaml").unwrap().config
}

/// How often this thread has given up its processor to wait for something. Being interrupted is not counted, so that a busy machine
/// makes no difference (Linux, proc(5)).
fn waits() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

/// Takes of the configuration what a call takes, again and again; how often, and how often it waited.
fn read_until(stop: &AtomicBool, runtime: &ArcSwap<Runtime>) -> (u64, u64) {
    let request = Request::post(format!("/{}", UPSTREAMS / 2)).body(()).unwrap();
    let (mut reads, before) = (0, waits());
    while !stop.load(Ordering::Relaxed) {
        let runtime = runtime.load_full();
        let route = runtime.routes.find(&request).expect("every configuration has it");
        black_box(&route.target.name);
        reads += 1;
    }
    (reads, waits() - before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_the_configuration_never_waits_while_a_thousand_upstreams_are_swapped() {
    const SWAPS: usize = 20;
    let configs: Vec<_> = (0..=SWAPS).map(large).collect();
    let mut configs = configs.into_iter();
    let gateway = Gateway::builder(configs.next().unwrap()).bind("127.0.0.1:0".parse().unwrap()).build().await.unwrap();
    let control = gateway.control();
    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (stop, runtime) = (Arc::clone(&stop), Arc::clone(&control.runtime));
        std::thread::spawn(move || read_until(&stop, &runtime))
    };
    for config in configs {
        control.reload(config).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let (reads, waited) = reader.join().unwrap();
    assert!(reads > 1_000 * SWAPS as u64, "{reads} reads are too few to have met a swap");
    assert_eq!(waited, 0, "of {reads} reads");
}
