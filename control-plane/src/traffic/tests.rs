//! Windows of a fleet, by a clock that the tests move.

use shadowcat_proto::admin::v1::TrafficRow;
use shadowcat_proto::admin::v1::traffic_request::{GroupBy, Order};

use super::node::{Call, Counted, Said};
use super::rows::Overview;
use super::tally::Tally;
use super::*;

/// Bucket of latencies from 1 024 to 1 536 us, and of those from 12 288 to 16 384 us.
const FAST: usize = 9;
const SLOW: usize = 16;

/// How often nodes speak.
const EVERY: u64 = 5;

/// A fleet, and seconds since its nodes started.
struct World {
    fleet: FleetTraffic,
    began: Instant,
}

impl World {
    fn new() -> Self {
        let began = Instant::now();
        Self { fleet: FleetTraffic::new(began), began }
    }

    /// At this second a boot of a node says what it has counted.
    fn say(&mut self, second: u64, of: (&str, &str), series: &[TrafficSeries]) {
        self.fleet.note(of, series.to_vec(), self.began + Duration::from_secs(second));
    }

    /// From `first` to `last` a node speaks as often as nodes do, and has so many calls of `echo` a second.
    fn speaks(&mut self, (first, last): (u64, u64), of: (&str, &str), rate: u64) {
        for second in (first..=last).step_by(usize::try_from(EVERY).unwrap()) {
            self.say(second, of, &[echo(rate * (second - first))]);
        }
    }

    fn sums(&mut self, second: u64, window: Window) -> Sums {
        self.fleet.part(length(window), self.began + Duration::from_secs(second)).sums()
    }

    fn total(&mut self, second: u64, window: Window) -> TrafficRow {
        Overview::new(&[self.sums(second, window)]).total()
    }
}

fn series(route: &str, tool: &str, calls: u64, bucket: usize) -> TrafficSeries {
    let mut latency = vec![0; bucket];
    latency.push(calls);
    TrafficSeries {
        route: route.to_owned(),
        upstream: format!("{route}-server"),
        method: "tools/call".to_owned(),
        tool: tool.to_owned(),
        calls,
        errors: calls / 2,
        latency,
    }
}

fn echo(calls: u64) -> TrafficSeries {
    series("demo", "echo", calls, FAST)
}

/// Names and calls of rows.
fn shown(sums: &[Sums], group_by: GroupBy, order: Order) -> Vec<(String, u64)> {
    let rows = Overview::new(sums).rows(group_by, order, 10).rows;
    let name = |row: &TrafficRow| format!("{}{}{}{}", row.route, row.upstream, row.tool, row.node);
    rows.iter().map(|row| (name(row), row.calls)).collect()
}

/// A rate, as far as words every five seconds tell it.
fn is_about(rate: f64, expected: f64) -> bool {
    (rate - expected).abs() <= expected * 0.01
}

#[test]
fn a_window_is_what_all_nodes_counted_within_it() {
    let mut world = World::new();
    for second in (0..=400).step_by(5) {
        world.say(second, ("one", "a"), &[echo(2 * second)]);
        world.say(second + 1, ("two", "b"), &[echo(6 * second)]);
    }
    for (window, seconds) in [(Window::TenSeconds, 10), (Window::OneMinute, 60), (Window::FiveMinutes, 300)] {
        let total = world.total(402, window);
        assert!(is_about(total.calls_per_second, 8.0), "{window:?}: {total:?}");
        assert!((8 * seconds..=8 * (seconds + 2 * EVERY)).contains(&total.calls), "{window:?}: {total:?}");
        assert!(is_about(total.error_share, 0.5), "{total:?}");
        assert!(total.p99_us.is_some_and(|latency| (1_024..1_536).contains(&latency)), "{total:?}");
    }
    let sums = [world.sums(402, Window::OneMinute)];
    assert_eq!(shown(&sums, GroupBy::Node, Order::Calls).iter().map(|row| &*row.0).collect::<Vec<_>>(), ["two", "one"]);
}

#[test]
fn calls_are_told_by_route_upstream_and_tool_the_most_first() {
    let mut world = World::new();
    world.say(0, ("one", "a"), &[]);
    let (echo, slow, list) = (echo(8), series("demo", "slow", 4, SLOW), series("other", "list", 20, FAST));
    world.say(5, ("one", "a"), &[echo, slow, list]);
    let sums = [world.sums(6, Window::TenSeconds)];
    let row = |name: &str, calls| (name.to_owned(), calls);
    assert_eq!(shown(&sums, GroupBy::Route, Order::Calls), [row("other", 20), row("demo", 12)]);
    assert_eq!(shown(&sums, GroupBy::Upstream, Order::Calls), [row("other-server", 20), row("demo-server", 12)]);
    assert_eq!(shown(&sums, GroupBy::Tool, Order::P99), [row("slow", 4), row("list", 20), row("echo", 8)]);
    assert_eq!(shown(&sums, GroupBy::Tool, Order::Errors), [row("list", 20), row("echo", 8), row("slow", 4)]);
    let cut = Overview::new(&sums).rows(GroupBy::Tool, Order::Calls, 1);
    assert_eq!((cut.rows.len(), cut.left_out, cut.nodes), (1, 2, 1));
    let all: f64 =
        Overview::new(&sums).rows(GroupBy::Tool, Order::Calls, 10).rows.iter().map(|r| r.calls_per_second).sum();
    assert!(is_about(all, 32.0 / 5.0), "{all}");
    let demo = &Overview::new(&sums).rows(GroupBy::Route, Order::P99, 1).rows[0];
    assert!(demo.p50_us < Some(1_536) && demo.p99_us > Some(12_288) && demo.p99_us < Some(16_384), "{demo:?}");
}

#[test]
fn what_was_counted_before_anybody_listened_is_of_no_window() {
    let mut world = World::new();
    world.say(0, ("one", "a"), &[echo(1_000_000)]);
    assert_eq!(world.total(1, Window::TenSeconds), TrafficRow::default());
    world.say(5, ("one", "a"), &[echo(1_000_010)]);
    let total = world.total(6, Window::TenSeconds);
    assert_eq!(total.calls, 10);
    assert!(is_about(total.calls_per_second, 2.0), "{total:?}");
}

#[test]
fn a_boot_that_follows_another_begins_anew() {
    let mut world = World::new();
    world.speaks((0, 30), ("one", "a"), 10);
    world.say(32, ("one", "b"), &[echo(3)]);
    world.say(37, ("one", "b"), &[echo(13)]);
    let total = world.total(38, Window::OneMinute);
    assert_eq!(total.calls, 300 + 10);
    assert!(is_about(total.calls_per_second, 310.0 / 35.0), "{total:?}");
}

#[test]
fn a_node_that_is_gone_fades_out_of_the_window() {
    let mut world = World::new();
    world.speaks((0, 60), ("one", "a"), 10);
    let mut last = world.total(60, Window::OneMinute).calls_per_second;
    assert!(is_about(last, 10.0), "{last}");
    for second in (80..=120).step_by(10) {
        let rate = world.total(second, Window::OneMinute).calls_per_second;
        assert!(rate < last, "{rate} is not below {last} after {second} s");
        last = rate;
    }
    assert_eq!(world.total(123, Window::OneMinute), TrafficRow::default());
    assert!(world.total(123, Window::FiveMinutes).calls > 0);
    assert_eq!(world.total(370, Window::FiveMinutes), TrafficRow::default());
}

#[test]
fn what_a_node_counted_while_it_was_not_heard_is_of_no_moment() {
    let mut world = World::new();
    world.speaks((0, 10), ("one", "a"), 10);
    world.say(100, ("one", "a"), &[echo(90_000)]);
    world.say(105, ("one", "a"), &[echo(90_050)]);
    assert_eq!(world.total(106, Window::OneMinute).calls, 50);
}

#[test]
fn a_route_that_leads_elsewhere_takes_its_past_calls_along_to_nobody() {
    let mut world = World::new();
    world.speaks((0, 10), ("one", "a"), 10);
    let moved = |calls| TrafficSeries { upstream: "new-server".to_owned(), ..echo(calls) };
    world.say(15, ("one", "a"), &[moved(150)]);
    // And one that was taken away and is back.
    world.say(20, ("one", "a"), &[]);
    world.say(25, ("one", "a"), &[moved(160)]);
    let rows = shown(&[world.sums(26, Window::OneMinute)], GroupBy::Upstream, Order::Calls);
    assert_eq!(rows, [("demo-server".to_owned(), 100), ("new-server".to_owned(), 60)]);
}

#[test]
fn a_node_that_went_to_another_replica_is_counted_once() {
    let (mut left, mut taken) = (World::new(), World::new());
    left.speaks((0, 60), ("one", "a"), 10);
    taken.say(60, ("one", "a"), &[echo(600)]);
    for second in (65..=90).step_by(5) {
        taken.say(second, ("one", "a"), &[echo(10 * second)]);
    }
    let both = [left.sums(90, Window::OneMinute), taken.sums(90, Window::OneMinute)];
    let total = Overview::new(&both).total();
    assert!(is_about(total.calls_per_second, 10.0), "{total:?}");
    assert_eq!(Overview::new(&both).rows(GroupBy::Node, Order::Calls, 10).rows.len(), 1);
}

#[test]
fn a_kind_that_was_forgotten_for_want_of_room_comes_back_without_its_past() {
    const KINDS_MAX: u64 = 4_096;
    let mut world = World::new();
    let crowd: Vec<_> = (0..KINDS_MAX).map(|kind| series("demo", &format!("tool-{kind}"), 0, FAST)).collect();
    world.say(0, ("one", "a"), &[echo(1_000_000)]);
    world.say(5, ("one", "a"), &crowd);
    world.say(10, ("one", "a"), &[echo(1_000_010)]);
    assert_eq!(world.total(11, Window::OneMinute).calls, 0, "nobody knows when they were");
    world.say(15, ("one", "a"), &[echo(1_000_020)]);
    assert_eq!(world.total(16, Window::OneMinute).calls, 10);
}

#[test]
fn a_kind_that_finds_room_late_comes_without_its_past() {
    let began = Instant::now();
    let mut counted = Counted::new("a");
    let mut says = |second, calls, room| {
        let call = Arc::new(Call { tool: "echo".into(), ..Call::default() });
        let said = Said { call, upstream: "demo-server".into(), tally: Tally::told(calls, 0, Vec::new()) };
        let came = counted.next(vec![said], began + Duration::from_secs(second), room)?;
        Some(came.calls.iter().map(|said| said.tally.calls).sum::<u64>())
    };
    assert_eq!(says(0, 1_000_000, 0), None);
    assert_eq!(says(5, 1_000_010, 0), Some(0));
    assert_eq!(says(10, 1_000_020, 1), Some(0), "nobody knows when they were");
    assert_eq!(says(15, 1_000_030, 1), Some(10));
}

#[test]
fn whatever_nodes_call_their_calls_what_is_kept_is_bounded() {
    const WORDS: u64 = 40;
    const KINDS: u64 = 1_000;
    let mut world = World::new();
    for word in 0..WORDS {
        let new = |kind| series("demo", &format!("tool-{word}-{kind}"), 2, FAST);
        let said: Vec<_> = (0..KINDS).map(new).collect();
        world.say(word, ("one", "a"), &said);
    }
    let sums = world.sums(WORDS, Window::FiveMinutes);
    // What the first word says is of no moment, and each of the next four has kinds that nobody knew. The last of them makes the earlier
    // ones forgotten: from then on a kind may be one of those.
    assert_eq!(Overview::new(&[sums]).total().calls, 4 * KINDS * 2);
    assert!(world.fleet.remembered() <= 4_096, "{}", world.fleet.remembered());
}
