//! Tapes, for operators.

use std::future::Future;
use std::sync::Arc;

use shadowcat_proto::admin::v1::search_tapes_request::What as AskedWhat;
use shadowcat_proto::admin::v1::tapes_server::Tapes;
use shadowcat_proto::admin::v1::{
    DeleteTapesRequest, DeleteTapesResponse, HoldTapesRequest, HoldTapesResponse, ListTapesRequest, ListTapesResponse,
    ReadTapesRequest, ReadTapesResponse, SearchTapesRequest, SearchTapesResponse, TailTapesRequest, TailTapesResponse,
    Tape, TapeStatsRequest, TapeStatsResponse,
};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::authenticate::Caller;
use super::{Admin, fleet_of, page, refused};
use crate::fleet::service::{Answers, answers};
use crate::store::{Actor, Outcome};
use crate::tapes::deletion::{Deleted, How, Undeleted, delete};
use crate::tapes::index::{Filter, FoundTape, Hold, Holding, Position, What, codes};
use crate::tapes::query::read::{Messages, RECORDS_DEFAULT};
use crate::tapes::query::selection::{Selected, invalid};
use crate::tapes::query::{cursor, missing, position, read, search, tail, timestamp};

/// Of a page unless asked otherwise.
const PAGE_DEFAULT: u32 = 50;

/// What was found and is not read yet. The search waits when it is full.
const FOUND_QUEUE: usize = 32;

/// Tapes of one hold, an id and a reason in bytes.
const HELD_MAX: usize = 1000;
const ID_BYTES_MAX: usize = 1024;
const REASON_BYTES_MAX: usize = 1024;

/// Nanoseconds in a microsecond.
const NANOS: i128 = 1_000;

/// Tapes that the record of a hold, or of a deletion, names.
const IDS_RECORDED: usize = 3;

#[tonic::async_trait]
impl Tapes for Admin {
    async fn list(&self, request: Request<ListTapesRequest>) -> Result<Response<ListTapesResponse>, Status> {
        let ListTapesRequest { fleet, selection, limit, cursor: from } = request.into_inner();
        let refusal = "tapes are not listed by it: search for calls with it, each of which names its tape";
        let selected = Selected::read(fleet_of(&fleet)?, selection)?
            .without(&["text", "filter", "latency_us", "size", "name", "method"], refusal)?;
        let limit = page(limit, PAGE_DEFAULT);
        let before = position(&from)?.map(|at| (at.at, at.source));
        let found = self.tapes.index().tapes(&selected.filter, before, limit).await.map_err(refused)?;
        let last = found.last().filter(|_| found.len() >= limit as usize);
        let next = last.map(|last| cursor(Position { at: last.began, source: last.number, seq: 0 }));
        let tapes = found.into_iter().map(tape).collect();
        Ok(Response::new(ListTapesResponse { tapes, next: next.unwrap_or_default() }))
    }

    type SearchStream = Answers<SearchTapesResponse>;

    async fn search(&self, request: Request<SearchTapesRequest>) -> Result<Response<Self::SearchStream>, Status> {
        let request = request.into_inner();
        let what = what(request.what());
        let selected = Selected::read(fleet_of(&request.fleet)?, request.selection)?.of(what);
        let before = position(&request.cursor)?;
        let (found, receiver) = mpsc::channel(FOUND_QUEUE);
        let wanted = (what, page(request.limit, PAGE_DEFAULT));
        self.answer(search::search(Arc::clone(&self.tapes), selected, wanted, before, found));
        Ok(Response::new(answers(receiver)))
    }

    type ReadStream = Answers<ReadTapesResponse>;

    async fn read(&self, request: Request<ReadTapesRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let ReadTapesRequest { fleet, selection, limit, blobs } = request.into_inner();
        let selected = Selected::read(fleet_of(&fleet)?, selection)?;
        let limit = if limit == 0 { RECORDS_DEFAULT } else { limit };
        let messages = if blobs { Messages::Told } else { Messages::LeftOut };
        let (records, receiver) = mpsc::channel(FOUND_QUEUE);
        self.answer(read::read(Arc::clone(&self.tapes), selected, limit, messages, records));
        Ok(Response::new(answers(receiver)))
    }

    type TailStream = Answers<TailTapesResponse>;

    async fn tail(&self, request: Request<TailTapesRequest>) -> Result<Response<Self::TailStream>, Status> {
        let request = request.into_inner();
        let what = what(request.what());
        let refusal = "what happens from now on has none: search instead";
        let selected = Selected::read(fleet_of(&request.fleet)?, request.selection)?
            .without(&["since", "until", "ids"], refusal)?
            .of(what);
        let (records, receiver) = mpsc::channel(tail::QUEUE);
        self.answer(tail::tail(Arc::clone(&self.tapes), Arc::clone(&self.store), selected, what, records));
        Ok(Response::new(answers(receiver)))
    }

    async fn delete(&self, request: Request<DeleteTapesRequest>) -> Result<Response<DeleteTapesResponse>, Status> {
        let caller = Caller::of(&request)?;
        let DeleteTapesRequest { fleet, selection, dry_run } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        let refusal = "nothing is deleted by it: search with it, and delete the tapes that were found";
        let selected = Selected::read(fleet, selection)?.without(&["text", "filter", "name"], refusal)?;
        let filter = selected.filter;
        if filter.ids.is_empty() && filter.until.is_none() {
            return Err(invalid(
                "until",
                "say until when, or which tapes with ids: nothing else bounds what is deleted",
            ));
        }
        let how = if dry_run { How::Counted } else { How::Really };
        if how == How::Really {
            // Before it is done: what is done is always recorded.
            let by = caller.does(fleet, format!("deletion of {}", deleted(&filter)));
            self.store.record(by, Outcome::Done, "").await.map_err(refused)?;
        }
        let (tapes, stop) = (Arc::clone(&self.tapes), self.stop.clone());
        // It goes on when whoever asked is gone.
        let gone = self.tasks.spawn(async move { stop.run_until_cancelled(delete(&tapes, &filter, how)).await });
        let gone = gone.await.map_err(|stopped| Status::internal(stopped.to_string()))?;
        match gone {
            Some(Ok(Deleted { frames, bytes, held })) => {
                let held = held.into_iter().collect();
                Ok(Response::new(DeleteTapesResponse { frames, bytes, held }))
            }
            Some(Err(Undeleted::Store(error))) => Err(refused(error)),
            Some(Err(error @ Undeleted::TooMany)) => Err(Status::invalid_argument(error.to_string())),
            None => Err(Status::unavailable("this replica stops: some is deleted, ask again for the rest")),
        }
    }

    async fn hold(&self, request: Request<HoldTapesRequest>) -> Result<Response<HoldTapesResponse>, Status> {
        let caller = Caller::of(&request)?;
        let HoldTapesRequest { fleet, tapes, release, reason } = request.into_inner();
        let fleet = fleet_of(&fleet)?;
        if !(1..=HELD_MAX).contains(&tapes.len()) {
            return Err(Status::invalid_argument("tapes: name 1 to 1000"));
        }
        if reason.len() > REASON_BYTES_MAX || reason.contains('\0') {
            return Err(Status::invalid_argument("reason: it has 1 024 bytes at most, and no NUL"));
        }
        if tapes.iter().any(|id| id.len() > ID_BYTES_MAX || id.contains('\0')) {
            return Err(Status::invalid_argument("tapes: an id has 1 024 bytes at most, and no NUL"));
        }
        let (held, done) = if release { (Hold::Released, "release") } else { (Hold::Held, "hold") };
        let by = caller.does(fleet, format!("{done} of tape {}", named(&tapes)));
        let unknown = self.tapes.index().unknown(fleet, &tapes).await.map_err(refused)?;
        if !unknown.is_empty() {
            return Err(self.not_there(by, &unknown).await);
        }
        // Before it is done: what is done is always recorded.
        self.store.record(by.clone(), Outcome::Done, &reason).await.map_err(refused)?;
        match self.tapes.index().hold(fleet, &tapes, held).await.map_err(refused)? {
            Holding::Changed(changed) => Ok(Response::new(HoldTapesResponse { changed })),
            // They were there a moment ago: the record goes on with what became of it.
            Holding::Unknown(unknown) => Err(self.not_there(by, &unknown).await),
        }
    }

    async fn stats(&self, request: Request<TapeStatsRequest>) -> Result<Response<TapeStatsResponse>, Status> {
        let request = request.into_inner();
        let fleet = fleet_of(&request.fleet)?;
        let live = self.hub.known(fleet);
        let kept = self.store.nodes(fleet).await.unwrap_or_default();
        let is_connected = |node: &str, instance: &str| {
            let here = live.as_ref().and_then(|live| live.node(node));
            let elsewhere = kept.iter().any(|kept| {
                kept.name == node
                    && crate::fleet::hub::is_elsewhere(live.as_deref(), kept)
                    && kept.seen.instance == instance
            });
            here.is_some_and(|here| here.instance == instance) || elsewhere
        };
        let told = missing::stats(self.tapes.index(), fleet, is_connected).await.map_err(refused)?;
        Ok(Response::new(told))
    }
}

impl Admin {
    /// Refuses what names tapes that are not there, and records it.
    async fn not_there(&self, by: Actor, unknown: &[String]) -> Status {
        let why = format!("no tape has the id {}: nothing was changed", named(unknown));
        match self.store.record(by, Outcome::Denied, &why).await {
            Ok(()) => Status::not_found(format!("{why}; see `shadowcatctl tapes list`")),
            Err(error) => refused(error),
        }
    }

    /// Runs what answers a call until it has, or this replica stops.
    fn answer(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

fn what(asked: AskedWhat) -> What {
    match asked {
        AskedWhat::Calls => What::Calls,
        AskedWhat::Frames => What::Frames,
    }
}

/// Tapes as they are recorded.
fn named(ids: &[String]) -> String {
    let first: Vec<&str> = ids.iter().take(IDS_RECORDED).map(String::as_str).collect();
    let more = if ids.len() > IDS_RECORDED { format!(" and {} more", ids.len() - IDS_RECORDED) } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// What is deleted, as it is recorded: the conditions that were given.
fn deleted(filter: &Filter) -> String {
    let time = |at: i64| OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * NANOS);
    let time = |at: Option<i64>| at.and_then(|at| time(at).ok()).map(|at| at.to_string()).unwrap_or_default();
    let conditions = [
        ("tape", named(&filter.ids)),
        ("since", time(filter.since)),
        ("until", time(filter.until)),
        ("route", filter.route.clone()),
        ("upstream", filter.upstream.clone()),
        ("node", filter.node.clone()),
        ("principal", filter.principal.clone()),
        ("session", filter.session.clone()),
        ("method", filter.method.clone()),
        ("trace", filter.trace.map(|trace| format!("{:032x}", u128::from_be_bytes(trace))).unwrap_or_default()),
        ("outcome", filter.outcomes.iter().map(|outcome| codes::outcome_name(*outcome)).collect::<Vec<_>>().join(", ")),
        ("latency from", if filter.latency > 0 { format!("{} us", filter.latency) } else { String::new() }),
        ("size from", if filter.size > 0 { format!("{} bytes", filter.size) } else { String::new() }),
    ];
    let said = conditions.iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join("; ")
}

fn tape(found: FoundTape) -> Tape {
    Tape {
        id: found.id,
        first: Some(timestamp(found.first_at)),
        last: Some(timestamp(found.last_at)),
        frames: found.frames,
        calls: found.calls,
        errors: found.errors,
        bytes: found.bytes,
        route: found.route,
        session: found.session,
        principal: found.principal,
        nodes: found.nodes,
        held: found.held,
    }
}
