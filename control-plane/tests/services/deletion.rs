//! What operators delete.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shadowcat_control_plane::store::Role;
use shadowcat_proto::admin::v1::{
    DeleteTapesRequest, DeleteTapesResponse, HoldTapesRequest, ListAuditRequest, ListTapesRequest, ReadTapesRequest,
    TapeSelection, TapeStatsRequest, TapeStatsResponse,
};
use shadowcat_tape::segment::unseal;
use tonic::{Code, Status};

use crate::harness::{Plane, directory, eventually, with_token};
use crate::spool::{CALLS, RECORDS, Segment, made_at};
use crate::tapes::{places, read, search, selecting, shipped, shipped_to};

const TAPE: &str = "3f9a21c0";

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
