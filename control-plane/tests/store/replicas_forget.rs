//! Two replicas on one Postgres forget by turns, and give back what the database holds for days that are gone. What takes too long
//! ends there too.

use std::time::{SystemTime, UNIX_EPOCH};

use shadowcat_control_plane::tapes::index::{self, Committed, FrameRow, Removal, SegmentRows, Share, Which, Why};
use sqlx::{Connection, PgConnection};

use crate::subject::Subject;
use crate::suite::kept::{Kept, Segment, THEN};
use crate::support::{FLEET, SOON, eventually};

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

async fn days(subject: &Subject) -> Vec<String> {
    let mut connection = PgConnection::connect(&subject.url).await.unwrap();
    sqlx::query_scalar::<sqlx::Postgres, String>(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'shadowcat_tapes.frames'::regclass ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_at_a_time_forgets() {
    let subject = Subject::in_postgres().await;
    let (one, other) = (index::open(&subject.url).await.unwrap(), index::open(&subject.url).await.unwrap());
    let turn = one.turn().await.unwrap().expect("nobody has it");
    assert!(other.turn().await.unwrap().is_none());
    drop(turn);
    eventually("the other one has its turn", SOON, || async { other.turn().await.unwrap().is_some() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_which_nothing_is_left_is_dropped() {
    let subject = Subject::in_postgres().await;
    let index = index::open(&subject.url).await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let then = i64::try_from(now).unwrap() - 30 * DAY;
    let segment = |sequence: u64, at: i64| SegmentRows {
        fleet: FLEET.to_owned(),
        node: "edge-1".to_owned(),
        instance: "5f".to_owned(),
        sequence,
        first_record: sequence,
        last_record: sequence,
        first_at: at,
        last_at: at,
        object: sequence.to_string(),
        frames: vec![FrameRow { at, seq: sequence, ..FrameRow::default() }],
        ..SegmentRows::default()
    };
    let before = days(&subject).await;
    index.commit(&[segment(1, then), segment(2, then + DAY)]).await.unwrap();
    assert_eq!((days(&subject).await.len(), index.drop_empty_days().await.unwrap()), (before.len() + 2, 0));
    let kept = index.recordings_kept(FLEET).await.unwrap();
    let oldest = index.shares(&kept[0], Share::BEGINNING, then + 1, 10).await.unwrap();
    let removal = Removal { segment: oldest[0].segment, which: Which::Recording(0), why: Why::Age };
    assert!(index.remove(&removal, 0).await.unwrap().segment.is_some());
    // Whoever reads holds it up for a moment, and is not held up for longer.
    let mut reader = PgConnection::connect(&subject.url).await.unwrap();
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM shadowcat_tapes.frames").execute(&mut *reading).await.unwrap();
    assert_eq!(index.drop_empty_days().await.unwrap(), 0);
    reading.rollback().await.unwrap();
    assert_eq!((index.drop_empty_days().await.unwrap(), days(&subject).await.len()), (1, before.len() + 1));
    // A late frame of that day finds its place all the same.
    index.commit(&[segment(3, then)]).await.unwrap();
    assert_eq!(days(&subject).await.len(), before.len() + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_holds_a_message_does_not_keep_a_segment_from_going() {
    let kept = Kept::of(Subject::in_postgres().await).await;
    let segment = |sequence| Segment { message: Some(b"shared"), ..Segment::new(sequence, &[""]) };
    kept.store(&segment(1)).await;
    let mut other = PgConnection::connect(&kept.subject.url).await.unwrap();
    // Whoever refers to it next waits behind these rows, with the message in its hands.
    let mut stalling = other.begin().await.unwrap();
    let next = "INSERT INTO shadowcat_tapes.message_uses SELECT fleet, hash, segment + n, recording
         FROM shadowcat_tapes.message_uses CROSS JOIN generate_series(1, 10) n";
    sqlx::query(next).execute(&mut *stalling).await.unwrap();
    // Of another source, for which nobody waits.
    let rows = [SegmentRows { node: "edge-2".to_owned(), ..segment(2).rows() }];
    let going = async {
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<sqlx::Postgres, i64>(waits).fetch_one(&mut *stalling).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        let removal = Removal { segment: kept.found().await[0].segment, which: Which::Recording(0), why: Why::Age };
        let removed = kept.index.remove(&removal, THEN).await;
        stalling.rollback().await.unwrap();
        removed
    };
    let (committed, removed) = tokio::join!(kept.index.commit(&rows), going);
    assert!(removed.unwrap().segment.is_some());
    assert_eq!(committed.unwrap(), [Committed::New]);
    kept.pass_at(100).await;
    assert!(kept.index.discarded(i64::MAX, 10).await.unwrap().iter().all(|object| !object.starts_with("blobs")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_let_go_of_in_few_statements() {
    let kept = Kept::of(Subject::in_postgres().await).await;
    let mut rows = Segment::new(1, &[""]).rows();
    rows.words = (0..1_200).map(|number| format!("resource {number}")).collect();
    kept.index.commit(&[rows]).await.unwrap();
    // New words are looked at once.
    kept.index.forget_words(i64::MIN, 10_000).await.unwrap();
    let count = "CREATE TABLE statements (told TEXT);
         CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO public.statements VALUES (TG_OP); RETURN NULL; END $$;
         CREATE TRIGGER counted AFTER UPDATE ON shadowcat_tapes.words FOR EACH STATEMENT EXECUTE FUNCTION told();
         CREATE TRIGGER counted AFTER DELETE ON shadowcat_tapes.word_uses FOR EACH STATEMENT EXECUTE FUNCTION told()";
    kept.subject.sql(count).await.unwrap();
    let removal = Removal { segment: kept.found().await[0].segment, which: Which::Recording(0), why: Why::Age };
    assert!(kept.index.remove(&removal, THEN).await.unwrap().segment.is_some());
    let mut connection = PgConnection::connect(&kept.subject.url).await.unwrap();
    let ask = async |connection: &mut PgConnection, text: &'static str| {
        sqlx::query_scalar::<sqlx::Postgres, i64>(text).fetch_one(connection).await.unwrap()
    };
    assert_eq!(ask(&mut connection, "SELECT count(*) FROM statements").await, 6);
    let marked = "SELECT count(*) FROM shadowcat_tapes.words WHERE let_go = 1 AND word LIKE 'resource %'";
    assert_eq!(ask(&mut connection, marked).await, 1_200);
    assert_eq!(ask(&mut connection, "SELECT count(*) FROM shadowcat_tapes.word_uses").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_takes_too_long_ends_in_the_server() {
    let subject = Subject::in_postgres().await;
    let index = index::open(&subject.url).await.unwrap();
    let mut other = PgConnection::connect(&subject.url).await.unwrap();
    // Without the fleet's word nothing is asked of the table.
    sqlx::query("INSERT INTO shadowcat_tapes.words (word) VALUES ($1)").bind(FLEET).execute(&mut other).await.unwrap();
    let mut locking = other.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE shadowcat_tapes.tapes IN ACCESS EXCLUSIVE MODE").execute(&mut *locking).await.unwrap();
    let told = index.totals(FLEET).await.unwrap_err().to_string();
    assert!(told.contains("statement timeout"), "{told}");
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'shadowcat-control-plane-tapes' AND state = 'active'";
    // The server says what it came to before it says that it is done.
    eventually("nothing is asked of it any more", SOON, || async {
        let mut looking = PgConnection::connect(&subject.url).await.unwrap();
        sqlx::query_scalar::<sqlx::Postgres, i64>(asked).fetch_one(&mut looking).await.unwrap() == 0
    })
    .await;
}
