//! What operators delete.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shadowcat_control_plane::store::Role;
use shadowcat_control_plane::tapes::index::What;
use shadowcat_proto::admin::v1::tapes_client::TapesClient;
use shadowcat_proto::admin::v1::{
    DeleteTapesRequest, DeleteTapesResponse, HoldTapesRequest, ListAuditRequest, ListTapesRequest, ReadTapesRequest,
    TapeSelection, TapeStatsRequest, TapeStatsResponse,
};
use shadowcat_tape::segment::{Found, Scan, unseal};
use tonic::{Code, Status};

use crate::harness::{Plane, directory, eventually, secured, with_token};
use crate::shipping::{Process, all, index_in, objects};
use crate::spool::{CALLS, RECORDS, Segment, Shipping, made_at};
use crate::tapes::{places, read, search, selecting, shipped, shipped_to};

const TAPE: &str = "3f9a21c0";

/// How often the control plane is killed.
const KILLS: u64 = 50;

/// With this seed every run kills at the same moments, as far as a machine lets it.
const SEED: u64 = 13;

fn really(selection: TapeSelection) -> DeleteTapesRequest {
    DeleteTapesRequest { selection: Some(selection), ..DeleteTapesRequest::default() }
}

fn counted(selection: TapeSelection) -> DeleteTapesRequest {
    DeleteTapesRequest { dry_run: true, ..really(selection) }
}

async fn delete(plane: &Plane, request: DeleteTapesRequest) -> Result<DeleteTapesResponse, Status> {
    plane.tapes().delete(plane.ask(request)).await.map(tonic::Response::into_inner)
}

fn of(ids: &[&str]) -> TapeSelection {
    TapeSelection { ids: ids.iter().map(|id| (*id).to_owned()).collect(), ..TapeSelection::default() }
}

/// What is before the record of this place.
fn before(seq: u64) -> TapeSelection {
    TapeSelection { until: Some(made_at(seq)), ..TapeSelection::default() }
}

async fn stats(plane: &Plane) -> TapeStatsResponse {
    plane.tapes().stats(plane.ask(TapeStatsRequest::default())).await.unwrap().into_inner()
}

/// Every frame that is found is read, and every object that no row refers to is listed as discarded.
async fn assert_whole(directory: &Path, kill: u64) {
    let index = index_in(directory).await;
    let mut lines: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    let mut known: BTreeSet<String> = index.discarded(i64::MAX, 10_000).await.unwrap().into_iter().collect();
    for frame in index.search(&all(), What::Frames, None, 10_000).await.unwrap() {
        if let Entry::Vacant(entry) = lines.entry(frame.segment) {
            let object = index.segments(&[frame.segment]).await.unwrap().remove(0).object;
            let sealed = std::fs::read(directory.join("tapes").join(&object));
            let plain = unseal(&sealed.expect("it is found"), 1 << 20).unwrap().plain;
            let records = Scan::new(&plain).filter_map(|found| match found {
                Ok(Found::Record(line)) => Some(line.record.seq),
                _ => None,
            });
            entry.insert(records.collect());
            known.insert(object);
        }
        assert!(lines[&frame.segment].contains(&frame.seq), "kill {kill}, seed {SEED}: {frame:?}");
    }
    let known: BTreeSet<&str> = known.iter().filter_map(|object| object.rsplit('/').next()).collect();
    for object in objects(&directory.join("tapes/segments")).iter().filter(|name| name.ends_with(".zst")) {
        assert!(known.contains(object.as_str()), "kill {kill}, seed {SEED}: nobody knows {object}");
    }
    index.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_is_killed_while_it_deletes_leaves_nothing_unreadable_and_nothing_unlisted() {
    let dir = directory();
    let (plane, node, _) = shipped_to(Arc::clone(&dir), []).await;
    let (authority, token) = (plane.authority.clone(), plane.token.clone());
    plane.stop().await;
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut answered = 0;
    for kill in 0..KILLS {
        let process = Process::start(dir.path());
        let mut stream = Shipping::begin(&node, process.grpc, &authority).await.unwrap();
        let numbers = 3 * kill + 1..=3 * kill + 3;
        stream.ship(&mut numbers.map(|number| (number, Segment::new(number))).collect()).await.unwrap();
        // A call in the middle of each of some segments, or all up to the middle of the last but one.
        let call = 2 + 2 * random.u64(0..CALLS);
        let middle = |segment: u64| (segment - 1) * RECORDS + call;
        let ids: Vec<String> =
            (3 * kill + 1..=3 * kill + 3).map(|number| format!("{TAPE}-{}", middle(number))).collect();
        let ids = TapeSelection { ids, ..TapeSelection::default() };
        let request = really(if random.bool() { ids } else { before(middle(3 * kill + 2)) });
        let mut tapes = TapesClient::new(secured(process.grpc, &authority, None));
        let alive = Duration::from_micros(random.u64(20_000..200_000));
        let deleted = async {
            answered += u64::from(tapes.delete(with_token(request, &token)).await.is_ok());
            std::future::pending::<()>().await;
        };
        assert!(tokio::time::timeout(alive, deleted).await.is_err(), "nothing ends it but the time");
        drop(process);
        assert_whole(dir.path(), kill).await;
    }
    eprintln!("{answered} of {KILLS} deletions were answered before the kill; seed {SEED}");
    assert!(answered > 0 && answered < KILLS, "some are, and some are not: {answered}");
}

/// The plain text of every segment there is.
fn stored(directory: &Path) -> Vec<String> {
    let mut directories: Vec<PathBuf> = vec![directory.join("tapes/segments")];
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "zst") {
                // It may be deleted just now.
                let Ok(sealed) = std::fs::read(entry.path()) else { continue };
                found.push(String::from_utf8(unseal(&sealed, 1 << 20).unwrap().plain).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn what_is_deleted_is_found_no_more_and_soon_in_no_object() {
    let dir = directory();
    let (plane, ..) = shipped_to(Arc::clone(&dir), (1..=3).map(Segment::new)).await;
    // A frame stands for its operation: a request and its answer.
    let told = delete(&plane, counted(of(&["3f9a21c0-5"]))).await.unwrap();
    assert_eq!((told.frames, told.bytes, told.held.len()), (2, 128, 0));
    assert_eq!(stats(&plane).await.frames, 6 * CALLS);
    assert!(stored(dir.path()).iter().any(|text| text.contains("Needle 2\"")));

    assert_eq!(delete(&plane, really(of(&["3f9a21c0-5"]))).await.unwrap(), told);
    let (found, _) = search(&plane, selecting(TapeSelection::default())).await;
    assert!(found.len() as u64 == 3 * CALLS - 1 && !places(&found).contains(&5));
    eventually("it is in no object", || async {
        let stored = stored(dir.path());
        stored.len() == 3 && !stored.iter().any(|text| text.contains("Needle 2\"") || text.contains("hay 2\""))
    })
    .await;
    // Everything else is there.
    let request = ReadTapesRequest { selection: Some(of(&[TAPE])), ..ReadTapesRequest::default() };
    let (lines, _, end) = read(&plane, request).await;
    assert_eq!((lines.len() as u64, end.damage.len()), (6 * CALLS - 2, 0));
    let told = stats(&plane).await;
    assert_eq!((told.frames, told.segments), (6 * CALLS - 2, 3));
    assert!(told.sources[0].gaps.iter().all(|gap| gap.why == "crash"), "{:?}", told.sources[0].gaps);
    assert_eq!(delete(&plane, really(of(&["3f9a21c0-5"]))).await.unwrap(), DeleteTapesResponse::default());
    plane.stop().await;
}

#[tokio::test]
async fn until_some_time_whole_segments_go_and_the_rest_of_one_is_written_anew() {
    let dir = directory();
    let large = b"\"large\"".repeat(20_000);
    let (plane, node, mut stream) = shipped_to(Arc::clone(&dir), (1..=2).map(Segment::new)).await;
    stream.ship(&mut [(3, Segment::with(3, vec![large]))].into()).await.unwrap();
    // Behind the second segment's first call.
    let until = before(RECORDS + 4);
    let told = delete(&plane, counted(until.clone())).await.unwrap();
    assert_eq!(told.frames, 2 * CALLS + 2);
    assert_eq!(delete(&plane, really(until)).await.unwrap(), told);
    eventually("two objects are left", || async {
        let stored = stored(dir.path());
        stored.len() == 2 && !stored.iter().any(|text| text.contains("Needle 11\""))
    })
    .await;
    let told = stats(&plane).await;
    assert_eq!((told.frames, told.segments, told.blobs), (4 * CALLS - 2, 2, 1));
    assert!(told.sources[0].gaps.iter().all(|gap| gap.why == "crash"), "{:?}", told.sources[0].gaps);
    let audit = plane.fleets().list_audit(plane.ask(ListAuditRequest::default())).await.unwrap().into_inner();
    let record = &audit.records[0];
    assert_eq!(record.verb, "tapes.delete");
    assert!(record.resource.starts_with("deletion of until 20"), "{}", record.resource);
    assert_eq!(audit.records.iter().filter(|record| record.verb == "tapes.delete").count(), 1, "to look is no change");
    // What was deleted is not asked for again.
    stream.offer(&Segment::new(1)).await;
    let reply = stream.next().await.unwrap();
    assert!(matches!(reply, shadowcat_proto::fleet::v1::ship_reply::Kind::Stored(_)), "{reply:?}");
    drop(node);
    plane.stop().await;
}

#[tokio::test]
async fn a_tape_on_hold_is_told_and_stays_until_it_is_released() {
    let (plane, ..) = shipped((1..=2).map(Segment::new)).await;
    let hold = HoldTapesRequest { tapes: vec![TAPE.to_owned()], ..HoldTapesRequest::default() };
    plane.tapes().hold(plane.ask(hold.clone())).await.unwrap();
    for selection in [of(&[TAPE]), of(&["3f9a21c0-5"]), before(1_000)] {
        for request in [counted(selection.clone()), really(selection)] {
            let told = delete(&plane, request).await.unwrap();
            assert_eq!((told.frames, told.bytes, &told.held[..]), (0, 0, &[TAPE.to_owned()][..]));
        }
    }
    assert_eq!(stats(&plane).await.frames, 4 * CALLS);
    plane.tapes().hold(plane.ask(HoldTapesRequest { release: true, ..hold })).await.unwrap();
    assert_eq!(delete(&plane, really(of(&[TAPE]))).await.unwrap().frames, 4 * CALLS);
    let list = plane.tapes().list(plane.ask(ListTapesRequest::default())).await.unwrap().into_inner();
    assert!(list.tapes.is_empty());
    let told = stats(&plane).await;
    assert_eq!((told.tapes, told.frames, told.segments, told.sources.len()), (0, 0, 0, 0));
    plane.stop().await;
}

#[tokio::test]
async fn a_deletion_that_nothing_bounds_or_that_looks_into_messages_is_refused_by_name() {
    let (plane, ..) = shipped([Segment::new(1)]).await;
    let text = || "x".to_owned();
    for (selection, field) in [
        (TapeSelection { text: text(), ..of(&[TAPE]) }, "selection.text: "),
        (TapeSelection { filter: "method == \"x\"".to_owned(), ..of(&[TAPE]) }, "selection.filter: "),
        (TapeSelection { name: text(), ..of(&[TAPE]) }, "selection.name: "),
        (TapeSelection { route: text(), ..TapeSelection::default() }, "selection.until: "),
        (TapeSelection { since: Some(made_at(1)), ..TapeSelection::default() }, "selection.until: "),
    ] {
        let refused = delete(&plane, really(selection)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with(field), "{}", refused.message());
    }
    let editor = plane.token_of(Role::Editor).await;
    let denied = plane.tapes().delete(with_token(really(of(&[TAPE])), &editor)).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert_eq!(stats(&plane).await.frames, 2 * CALLS);
    plane.stop().await;
}
