//! Names of what was recorded, and that they are forgotten with it.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use shadowcat_control_plane::tapes::index::{self, Committed, Filter, Removal, SegmentRows, What, Which, Why};
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::kept::{Kept, Segment, THEN};
use super::messages::{POINTS, held_up};
use crate::subject::Subject;
use crate::support::FLEET;

const URI: &str = "file:///secret";

/// Which of these words the database has.
async fn known(subject: &Subject, words: &[&str]) -> Vec<String> {
    let all: Vec<String> = if let Some(path) = subject.url.strip_prefix("sqlite:") {
        let file = std::path::Path::new(path).with_file_name("tapes.db");
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        sqlx::query_scalar("SELECT word FROM words ORDER BY word").fetch_all(&mut connection).await.unwrap()
    } else {
        let mut connection = PgConnection::connect(&subject.url).await.unwrap();
        sqlx::query_scalar("SELECT word FROM shadowcat_tapes.words ORDER BY word")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    };
    all.into_iter().filter(|word| words.contains(&&**word)).collect()
}

/// A segment whose second frame is about a resource and by a caller, who is that of its tape too.
fn with_names(sequence: u64, caller: &str) -> SegmentRows {
    let mut rows = Segment::new(sequence, &[""]).rows();
    rows.words = vec![URI.to_owned(), caller.to_owned()];
    (rows.frames[1].name, rows.frames[1].principal, rows.tapes[0].principal) = (Some(0), Some(1), Some(1));
    rows
}

async fn stored(kept: &Kept, rows: SegmentRows) -> i64 {
    let sealed = Segment::new(rows.sequence, &[""]).sealed();
    kept.blobs.put(&Path::from(rows.object.as_str()), Bytes::from(sealed)).await.unwrap();
    let first = rows.first_record;
    assert_eq!(kept.index.commit(&[rows]).await.unwrap(), [Committed::New]);
    kept.found().await.iter().find(|frame| frame.seq == first + 1).unwrap().segment
}

pub(crate) async fn names_are_forgotten_with_the_last_frame_that_has_them(subject: Subject) {
    let kept = Kept::of(subject).await;
    let names = [URI, "mallory", "alice", "default", "edge-1"];
    let first = stored(&kept, with_names(1, "mallory")).await;
    let second = stored(&kept, with_names(2, "alice")).await;
    let remove = async |segment: i64, sequence: u64| {
        let place = Segment::new(sequence, &[""]).first_record() + 2;
        let removal = Removal { segment, which: Which::Places(vec![place]), why: Why::Order };
        assert_eq!(kept.index.remove(&removal, THEN).await.unwrap().frames, 1);
        kept.pass_at(3).await;
    };
    kept.pass_at(3).await;
    assert_eq!(known(&kept.subject, &names).await, ["alice", "default", "edge-1", URI, "mallory"]);
    remove(first, 1).await;
    assert_eq!(
        known(&kept.subject, &names).await,
        ["alice", "default", "edge-1", URI],
        "another segment has the resource"
    );
    let tapes = kept.index.tapes(&Filter { fleet: FLEET.to_owned(), ..Filter::default() }, None, 10).await.unwrap();
    assert_eq!(tapes.iter().map(|tape| &*tape.principal).collect::<Vec<_>>(), ["alice", ""]);
    remove(second, 2).await;
    assert_eq!(known(&kept.subject, &names).await, ["default", "edge-1"]);
    // A name that this replica remembers, and that is not there any more.
    stored(&kept, with_names(3, "mallory")).await;
    let by =
        Filter { fleet: FLEET.to_owned(), principal: "mallory".to_owned(), name: URI.to_owned(), ..Filter::default() };
    assert_eq!(kept.index.search(&by, What::Frames, None, 10).await.unwrap().len(), 1);
    // A whole segment goes, by age.
    kept.pass_at(1_000).await;
    assert_eq!(known(&kept.subject, &names).await, ["default", "edge-1"]);
}

pub(crate) async fn a_name_that_comes_back_while_it_is_forgotten_is_found(subject: Subject) {
    let kept = Kept::of(subject).await;
    // Another replica where there can be one.
    let is_alone = kept.subject.url.starts_with("sqlite:");
    let other = if is_alone { Arc::clone(&kept.index) } else { index::open(&kept.subject.url).await.unwrap() };
    stored(&kept, with_names(1, "bob")).await;
    for point in 0..POINTS {
        let caller = format!("caller-{point}");
        let segment = stored(&kept, with_names(2 * point + 2, &caller)).await;
        let removal = Removal { segment, which: Which::Recording(0), why: Why::Age };
        assert!(kept.index.remove(&removal, THEN).await.unwrap().segment.is_some());
        let rows = [with_names(2 * point + 3, &caller)];
        let (committed, looked, over) =
            held_up(point, kept.index.commit(&rows), other.forget_words(i64::MIN, 1_000)).await;
        looked.unwrap();
        assert_eq!(committed.unwrap(), [Committed::New]);
        other.forget_words(i64::MIN, 1_000).await.unwrap();
        let by = Filter { fleet: FLEET.to_owned(), principal: caller.clone(), ..Filter::default() };
        let found = kept.index.search(&by, What::Frames, None, 10).await.unwrap();
        assert_eq!(
            found.iter().map(|frame| (&*frame.principal, &*frame.name)).collect::<Vec<_>>(),
            [(&*caller, URI)],
            "at point {point}"
        );
        if over {
            break;
        }
    }
}
