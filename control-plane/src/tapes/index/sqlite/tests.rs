//! What only SQLite can show: by which indexes it goes, and that it ends.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};
use tokio::time::timeout;

use super::super::{Filter, FrameRow, Index as _, SegmentRows, TapeRow, What};
use super::*;

/// A fleet, a tape and a segment with a frame of everything that can be asked for.
async fn index() -> (tempfile::TempDir, sql::Access) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tapes.db");
    let index = SqliteIndex::open(&path).await.unwrap();
    let words = ["tools/call", "search", "alice"].map(str::to_owned).to_vec();
    let frame = FrameRow {
        at: 1,
        seq: 1,
        tape: Some(0),
        method: Some(0),
        name: Some(1),
        outcome: Some(5),
        session: Some("3f9a21c0".to_owned()),
        principal: Some(2),
        trace: Some([1; 16]),
        ..FrameRow::default()
    };
    let tape = TapeRow { id: "tape-1".to_owned(), first_at: 1, last_at: 1, frames: 1, ..TapeRow::default() };
    let rows = SegmentRows {
        fleet: "f".to_owned(),
        node: "n".to_owned(),
        instance: "5f".to_owned(),
        sequence: 1,
        first_record: 1,
        last_record: 1,
        first_at: 1,
        last_at: 1,
        object: "o".to_owned(),
        words,
        tapes: vec![tape],
        frames: vec![frame],
        ..SegmentRows::default()
    };
    index.commit(&[rows]).await.unwrap();
    index.close().await;
    (dir, SqliteIndex::access(&path).await.unwrap())
}

/// What is asked for of which there may be little among much, and the index that finds it.
fn rare() -> Vec<(&'static str, Filter)> {
    let some = || Filter { fleet: "f".to_owned(), ..Filter::default() };
    let outcomes = || vec![5];
    vec![
        ("frames_of_sessions", Filter { session: "3f9a21c0".to_owned(), ..some() }),
        ("frames_of_traces", Filter { trace: Some([1; 16]), ..some() }),
        ("frames_of_principals", Filter { principal: "alice".to_owned(), ..some() }),
        ("frames_of_failures", Filter { outcomes: outcomes(), ..some() }),
        ("frames_of_calls", Filter { outcomes: outcomes(), name: "search".to_owned(), ..some() }),
        ("frames_of_tapes", Filter { ids: vec!["tape-1".to_owned()], ..some() }),
    ]
}

/// How SQLite goes about a question, a step a line.
async fn plan(connection: &mut SqliteConnection, select: &QueryBuilder<Sqlite>) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", select.sql().as_str()));
    let steps = sqlx::raw_sql(explain).fetch_all(connection).await.unwrap();
    steps.iter().map(|step| step.get::<String, _>("detail")).collect()
}

fn assert_goes_by(plan: &[String], index: &str, what: &str) {
    let of_frames: Vec<&String> = plan.iter().filter(|step| step.contains(" f ") || step.ends_with(" f")).collect();
    assert!(!of_frames.is_empty() && of_frames.iter().all(|step| step.contains(index)), "{what}: {plan:#?}");
    assert!(of_frames.iter().all(|step| step.starts_with("SEARCH f ")), "{what} scans: {plan:#?}");
}

#[tokio::test]
async fn what_is_rare_is_found_by_its_index_and_nothing_is_gone_through_for_it() {
    let (_dir, access) = index().await;
    let mut lent = access.lend(&access.readers).await.unwrap();
    for (index, filter) in rare() {
        for what in [What::Calls, What::Frames] {
            let select = sql::search::statement(lent.connection(), &filter, what, None, 50).await.unwrap().unwrap();
            assert_goes_by(&plan(lent.connection(), &select).await, index, "a search");
        }
        let tapes = sql::tapes::statement(lent.connection(), &filter, None, 50).await.unwrap().unwrap();
        let steps = plan(lent.connection(), &tapes).await;
        if filter.ids.is_empty() {
            assert_goes_by(&steps, index, "tapes");
        }
        let by_number = |step: &&String| step.starts_with("SEARCH t USING INTEGER PRIMARY KEY");
        assert!(steps.iter().any(|step| by_number(&step)), "tapes are gone through for {index}: {steps:#?}");
        let read = sql::search::statement_of_tape(lent.connection(), &filter, 1, (0, 0), 50).await.unwrap().unwrap();
        assert_goes_by(&plan(lent.connection(), &read).await, index, "the frames of a tape");
    }
}

#[tokio::test]
async fn of_two_ways_the_one_with_fewer_frames_is_gone() {
    let (_dir, access) = index().await;
    let index = SqliteIndex::over(access.clone());
    let often = |sequence: u64| SegmentRows {
        fleet: "f".to_owned(),
        node: "n".to_owned(),
        instance: "5f".to_owned(),
        sequence,
        words: vec!["search".to_owned()],
        object: sequence.to_string(),
        frames: (0..50)
            .map(|offset| FrameRow {
                at: 2,
                seq: sequence * 100 + offset,
                name: Some(0),
                outcome: Some(5),
                ..FrameRow::default()
            })
            .collect(),
        ..SegmentRows::default()
    };
    index.commit(&[often(2), often(3)]).await.unwrap();
    let mut lent = access.lend(&access.readers).await.unwrap();
    let alice = Filter {
        fleet: "f".to_owned(),
        outcomes: vec![5],
        name: "search".to_owned(),
        principal: "alice".to_owned(),
        ..Filter::default()
    };
    let select = sql::search::statement(lent.connection(), &alice, What::Calls, None, 50).await.unwrap().unwrap();
    assert_goes_by(&plan(lent.connection(), &select).await, "frames_of_principals", "the calls of one of many callers");
}

/// How tapes of a time are listed.
async fn plan_of_tapes(access: &sql::Access, (since, until): (Option<i64>, Option<i64>)) -> Vec<String> {
    let mut lent = access.lend(&access.readers).await.unwrap();
    let filter = Filter { fleet: "f".to_owned(), since, until, ..Filter::default() };
    let select = sql::tapes::statement(lent.connection(), &filter, None, 50).await.unwrap().unwrap();
    plan(lent.connection(), &select).await
}

#[tokio::test]
async fn tapes_of_late_are_found_by_their_end_where_they_are_few_and_in_the_order_of_the_list_where_they_are_many() {
    let (_dir, access) = index().await;
    let many = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 10000)
        INSERT INTO tapes (fleet, id, began, first_at, last_at, frames, calls, errors, bytes)
        SELECT t.fleet, 'other-' || x, 5, 5, 5, 1, 0, 0, 0 FROM n, tapes t";
    let mut lent = access.lend(&access.writers).await.unwrap();
    sqlx::query(many).execute(lent.connection()).await.unwrap();
    drop(lent);
    let goes = |plan: &[String], step: &str| plan.iter().any(|told| told.starts_with(step));
    let few = plan_of_tapes(&access, (Some(6), None)).await;
    assert!(goes(&few, "SEARCH t USING INDEX tapes_by_end (fleet=? AND last_at>?)"), "{few:#?}");
    for span in [(Some(5), None), (None, Some(5)), (None, None)] {
        let all = plan_of_tapes(&access, span).await;
        assert!(goes(&all, "SEARCH t USING INDEX tapes_by_beginning (fleet=?"), "{span:?}: {all:#?}");
        assert!(!goes(&all, "USE TEMP B-TREE"), "what is gone through is put in order: {all:#?}");
    }
    let between = plan_of_tapes(&access, (Some(1), Some(2))).await;
    assert!(goes(&between, "SEARCH f USING PRIMARY KEY (fleet=? AND at>? AND at<?)"), "{between:#?}");
    assert!(goes(&between, "SEARCH t USING INTEGER PRIMARY KEY"), "tapes are gone through: {between:#?}");
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_any_more_is_interrupted() {
    let (_dir, access) = index().await;
    // It has the lock of who writes from its beginning, and no end.
    let endless = "INSERT INTO words (word) WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    let mut lent = access.lend(&access.writers).await.unwrap();
    let ended = timeout(Duration::from_millis(200), sqlx::query(endless).execute(lent.connection())).await;
    assert!(ended.is_err(), "{ended:?}");
    drop(lent);
    let mut next = access.lend(&access.writers).await.unwrap();
    sqlx::query("INSERT INTO words (word) VALUES ('next')").execute(next.connection()).await.unwrap();
}
