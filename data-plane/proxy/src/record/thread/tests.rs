use std::sync::atomic::AtomicUsize;
use std::thread::{JoinHandle, yield_now};

use metrics::Counter;
use shadowcat_tape::line::Message;
use shadowcat_tape::record::Record;

use super::super::testing::call;
use super::*;

/// More than any of it takes on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// Counts.
#[derive(Debug, Default)]
struct Counts {
    appended: AtomicUsize,
    /// Of those, how many had come when the sink was settled last.
    settled: AtomicUsize,
    settles: AtomicUsize,
    ended: AtomicBool,
}

struct Counting(Arc<Counts>);

impl TapeSink for Counting {
    fn append(&mut self, _: Record<'_>, _: Option<Message<'_>>) -> u64 {
        self.0.appended.fetch_add(1, Ordering::SeqCst) as u64 + 1
    }

    fn lost(&mut self, _: u64, _: &str) {}

    fn rekeyed(&mut self, _: &str) {}

    fn settle(&mut self, _: Duration) -> Duration {
        self.0.settled.store(self.0.appended.load(Ordering::SeqCst), Ordering::SeqCst);
        self.0.settles.fetch_add(1, Ordering::SeqCst);
        Duration::from_secs(60)
    }

    fn can_promise(&self) -> bool {
        true
    }

    fn end(&mut self, _: Duration) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

struct Running {
    queue: Arc<Queue<Item>>,
    orders: Arc<Orders>,
    counts: Arc<Counts>,
    thread: JoinHandle<()>,
    call: Arc<CallContext>,
}

impl Running {
    fn start() -> Self {
        let (queue, orders, counts) = (Arc::new(Queue::new()), Arc::new(Orders::new()), Arc::new(Counts::default()));
        let writing = Writing {
            queue: Arc::clone(&queue),
            orders: Arc::clone(&orders),
            sink: Box::new(Counting(Arc::clone(&counts))),
            key: [1; 32].into(),
            instance: "3f9a21c0".into(),
            began: Instant::now(),
            frames: Counter::noop(),
            followed: Arc::default(),
            room: Arc::default(),
        };
        let call = call(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        Self { queue, orders, counts, thread: std::thread::spawn(|| writing.run()), call }
    }

    fn push(&self) -> bool {
        self.queue.push(Item::Opened(Arc::clone(&self.call)), 64)
    }

    fn wait_for(&self, mut what: impl FnMut(&Counts) -> bool) {
        let began = Instant::now();
        while !what(&self.counts) {
            assert!(began.elapsed() < SOON, "{:?}", self.counts);
            yield_now();
        }
    }
}

#[test]
fn the_sink_is_settled_while_frames_come_and_soon_after_the_last() {
    let running = Running::start();
    let mut pushed = 0;
    running.wait_for(|counts| {
        pushed += usize::from(running.push());
        counts.settles.load(Ordering::SeqCst) >= 10
    });
    running.wait_for(|counts| counts.settled.load(Ordering::SeqCst) == pushed);
}

#[test]
fn what_waits_when_it_is_told_to_stop_is_written() {
    let running = Running::start();
    let pushed = (0..5_000).filter(|_| running.push()).count();
    running.orders.stop.store(true, Ordering::Release);
    running.queue.wake();
    running.wait_for(|counts| counts.ended.load(Ordering::SeqCst));
    assert_eq!((pushed, running.counts.appended.load(Ordering::SeqCst)), (5_000, 5_000));
    running.thread.join().unwrap();
}
