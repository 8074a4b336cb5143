//! Records as they happen: those of nodes whose `Ship` stream is here as they are written, those of others when they are stored.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shadowcat_proto::admin::v1::tail_tapes_response::Kind;
use shadowcat_proto::admin::v1::{TailTapesResponse, TailedNodes, TapeRecord};
use shadowcat_tape::line::{decode, message};
use shadowcat_tape::record::Record;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{MissedTickBehavior, interval};
use tonic::Status;

use super::asked::Asked;
use super::facts::Content;
use super::judge::Verdict;
use super::segments::Segments;
use super::selection::Selected;
use super::{now, told};
use crate::store::Store;
use crate::tapes::Tapes;
use crate::tapes::decode::{session, trace};
use crate::tapes::index::{Filter, FoundFrame, Position, What, codes};

/// How often it is looked what nodes there are, and what others than those followed have shipped.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How far back what was shipped is looked at: a segment is sealed within two seconds, and is on its way for some.
const LOOKED_BACK: i64 = 30 * 1_000_000;

/// Frames of one look.
const LOOKED_AT: u32 = 256;

/// Records that wait for whoever follows. Beyond it they are left out, and counted.
pub(crate) const QUEUE: usize = 256;

/// Bytes of the largest message that is sure to come with its record: a line of 64 KiB has room for it in base64, and for the rest.
const KEPT_BACK: u64 = 40 * 1024;

/// Where records go.
pub(crate) type Followed = mpsc::Sender<Result<TailTapesResponse, Status>>;

struct Tail<'a> {
    tapes: &'a Tapes,
    store: &'a dyn Store,
    selected: &'a Selected,
    what: What,
    records: &'a Followed,
    /// Records that were left out and not yet told.
    skipped: u64,
    live: Vec<String>,
    nodes: Option<TailedNodes>,
    /// What the live ones were asked.
    asked: Asked,
    /// What was told of what others have shipped.
    seen: BTreeSet<Position>,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Taken,
    /// There was no room for it.
    LeftOut,
}

/// Follows until nobody reads any more.
pub(crate) async fn tail(tapes: Arc<Tapes>, store: Arc<dyn Store>, selected: Selected, what: What, records: Followed) {
    let mut follower = tapes.live.follow(&selected.filter.fleet);
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tail = Tail {
        tapes: &tapes,
        store: store.as_ref(),
        selected: &selected,
        what,
        records: &records,
        skipped: 0,
        live: Vec::new(),
        nodes: None,
        asked: Asked::default(),
        seen: BTreeSet::new(),
    };
    let since = now();
    loop {
        tokio::select! {
            () = records.closed() => return,
            () = tapes.stop.cancelled() => return,
            _ = look.tick() => {
                tail.look_at_nodes().await;
                tail.look_at_stored(since).await;
            }
            said = follower.next() => match said {
                Ok(batch) => {
                    tail.skipped = tail.skipped.saturating_add(batch.skipped);
                    for line in &batch.records {
                        tail.live(line, &batch.node, &batch.instance);
                    }
                }
                Err(messages) => tail.skipped = tail.skipped.saturating_add(messages),
            },
        }
    }
}

impl Tail<'_> {
    fn live(&mut self, line: &Bytes, node: &str, instance: &str) {
        let Ok(record) = decode(line) else {
            self.skipped = self.skipped.saturating_add(1);
            return;
        };
        let Some(mut frame) = of_record(&record) else { return };
        (frame.node, frame.instance) = (node.to_owned(), instance.to_owned());
        let needs_request = self.selected.judge.needs_request();
        let body = message(&record).ok().flatten();
        // A node keeps back messages of this size, and says all else of them.
        let is_kept_back = body.is_none() && frame.size > KEPT_BACK;
        if needs_request && !is_kept_back && record.id.is_some() && record.re.is_none() {
            // It comes before what answers it, and may fit nothing itself.
            let body = body.map(|body| Bytes::copy_from_slice(&body));
            self.asked.keep(instance, record.seq, body.unwrap_or_default());
        }
        if !fits(&self.selected.filter, self.what, &frame) {
            return;
        }
        let re = record.re.filter(|_| needs_request);
        let request = re.and_then(|seq| self.asked.of(instance, seq));
        if (re.is_some() && request.is_none()) || (is_kept_back && self.selected.judge.needs_content()) {
            // It was asked before anybody followed, or too long ago, or what it says is not here.
            self.skipped = self.skipped.saturating_add(1);
            return;
        }
        let content = Content::new(&record, None, request.as_deref());
        if self.selected.judge.judge(&frame, Some(&content)) == Verdict::Meant {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            self.tell(&frame, line);
        }
    }

    fn tell(&mut self, frame: &FoundFrame, line: &[u8]) {
        if self.skipped > 0 && self.send(Kind::Skipped(self.skipped)) == Sent::Taken {
            self.skipped = 0;
        }
        let record = TapeRecord { frame: Some(told(frame)), line: line.to_vec() };
        if self.send(Kind::Record(record)) == Sent::LeftOut {
            self.skipped = self.skipped.saturating_add(1);
        }
    }

    fn send(&self, kind: Kind) -> Sent {
        match self.records.try_send(Ok(TailTapesResponse { kind: Some(kind) })) {
            Err(TrySendError::Full(_)) => Sent::LeftOut,
            // Nobody misses what comes after they are gone.
            Ok(()) | Err(TrySendError::Closed(_)) => Sent::Taken,
        }
    }

    async fn look_at_nodes(&mut self) {
        let fleet = &self.selected.filter.fleet;
        self.live = self.tapes.live.shipping(fleet);
        let known = self.store.nodes(fleet).await.unwrap_or_default();
        let stored = known.into_iter().map(|node| node.name).filter(|name| !self.live.contains(name)).collect();
        let nodes = TailedNodes { live: self.live.clone(), stored };
        if self.nodes.as_ref() != Some(&nodes) {
            // Without room it is told the next time.
            if self.send(Kind::Nodes(nodes.clone())) == Sent::Taken {
                self.nodes = Some(nodes);
            }
        }
    }

    /// What other nodes have shipped since the last look.
    async fn look_at_stored(&mut self, began: i64) {
        let since = began.max(now() - LOOKED_BACK);
        let filter = Filter { since: Some(since), ..self.selected.filter.clone() };
        let Ok(page) = self.tapes.index().search(&filter, self.what, None, LOOKED_AT).await else { return };
        self.seen = self.seen.split_off(&Position { at: since, source: i64::MIN, seq: 0 });
        let mut segments = Segments::new(self.tapes);
        for frame in page.iter().rev() {
            if self.live.contains(&frame.node) || !self.seen.insert(frame.position()) {
                continue;
            }
            let Ok(opened) = segments.open(frame.segment).await else { continue };
            let (Some(line), Some(record)) = (opened.line(frame.seq), opened.record(frame.seq)) else { continue };
            let (judge, fleet) = (&self.selected.judge, &self.selected.filter.fleet);
            let apart = if judge.needs_content() { segments.apart(fleet, &record).await } else { Ok(None) };
            let request = match record.re.filter(|_| judge.needs_request()) {
                Some(seq) => segments.asked(fleet, frame, seq).await.map(Some),
                None => Ok(None),
            };
            let (Ok(apart), Ok(request)) = (apart, request) else {
                self.skipped = self.skipped.saturating_add(1);
                continue;
            };
            let content = Content::new(&record, apart.as_deref(), request.as_deref());
            if judge.judge(frame, Some(&content)) == Verdict::Meant {
                self.tell(frame, line);
            }
        }
    }
}

/// A record as the index would have it, made now; `None` if it tells of no traffic.
fn of_record(record: &Record<'_>) -> Option<FoundFrame> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Some(FoundFrame {
        at: now(),
        seq: record.seq,
        tape: text(record.tape.as_deref()),
        kind: codes::kind(record.k)?,
        direction: record.dir.and_then(codes::direction),
        method: text(record.m.as_deref()),
        name: text(record.name.as_deref()),
        outcome: record.out.filter(|_| record.of.is_none()).map(codes::outcome),
        code: record.code,
        latency: record.lat,
        size: record.sz.unwrap_or(0),
        route: text(record.route.as_deref()),
        upstream: text(record.upstream.as_deref()),
        endpoint: text(record.endpoint.as_deref()),
        session: record.session.as_deref().map(session).unwrap_or_default(),
        principal: text(record.principal.as_deref()),
        trace: record.tp.as_deref().and_then(trace).map(Vec::from),
        era: text(record.era.as_deref()),
        version: record.version,
        operation: record.op,
        ..FoundFrame::default()
    })
}

/// Whether the index would find it.
fn fits(filter: &Filter, what: What, frame: &FoundFrame) -> bool {
    let words = [
        (&filter.route, &frame.route),
        (&filter.upstream, &frame.upstream),
        (&filter.node, &frame.node),
        (&filter.principal, &frame.principal),
        (&filter.session, &frame.session),
        (&filter.method, &frame.method),
    ];
    words.iter().all(|(asked, is)| asked.is_empty() || asked == is)
        && (filter.name.is_empty() || crate::tapes::index::pattern::fits(&filter.name, &frame.name))
        && (what == What::Frames || frame.outcome.is_some())
        && (filter.outcomes.is_empty() || frame.outcome.is_some_and(|outcome| filter.outcomes.contains(&outcome)))
        && filter.trace.is_none_or(|trace| frame.trace.as_deref() == Some(&trace))
        && frame.latency.unwrap_or(0) >= filter.latency
        && frame.size >= filter.size
}
