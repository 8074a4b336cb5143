//! Which segments use a word, and words that nothing uses any more.
//!
//! What was deleted is not to live on as the name of a resource or of a caller. Each segment says which words it has; when it lets go of
//! one, that is marked, and whoever forgets looks at what is marked and deletes what nothing refers to.
//!
//! A commit holds the words it uses, together with other commits, whether it had remembered or looked them up: what is held is not
//! forgotten, and what was forgotten is not there to be held and gets a new number.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Connection as _, QueryBuilder, query, query_as};

use super::super::{BEGIN, Database, FORGET_WORD, HOLD_WORDS, TAKE_WORDS};
use super::Connection;
use super::remove::Segment;

/// Words that one statement holds, notes or lets go of.
const WORDS_AT_ONCE: usize = 500;

/// Columns of frames that are words, and may be absent.
const COLUMNS: usize = 8;

/// Holds words that were remembered: those that are still there.
pub(super) async fn hold<'a>(
    connection: &mut Connection,
    remembered: &BTreeMap<i64, &'a str>,
) -> Result<Vec<(&'a str, i64)>, sqlx::Error> {
    let mut held = Vec::with_capacity(remembered.len());
    let numbers: Vec<i64> = remembered.keys().copied().collect();
    for numbers in numbers.chunks(WORDS_AT_ONCE) {
        let mut select = QueryBuilder::<Database>::new("SELECT id FROM words WHERE id IN (");
        push_listed(&mut select, numbers);
        select.push(") ORDER BY id").push(HOLD_WORDS);
        let found: Vec<(i64,)> = select.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
        held.extend(found.into_iter().filter_map(|(number,)| Some((*remembered.get(&number)?, number))));
    }
    Ok(held)
}

/// A segment that is new uses these words, which the commit holds.
pub(super) async fn used(connection: &mut Connection, segment: i64, words: &[i64]) -> Result<(), sqlx::Error> {
    let words: Vec<i64> = words.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    for words in words.chunks(WORDS_AT_ONCE) {
        let mut insert = QueryBuilder::<Database>::new("INSERT INTO word_uses (segment, word) ");
        insert.push_values(words, |mut row, word| {
            row.push_bind(segment).push_bind(*word);
        });
        insert.build().persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}

/// A segment lets go of the words that none of its frames has any more.
pub(super) async fn let_go(connection: &mut Connection, segment: &Segment) -> Result<(), sqlx::Error> {
    let mut select = QueryBuilder::<Database>::new(
        "SELECT DISTINCT f.method, f.name, f.route, f.upstream, f.endpoint, f.principal, f.era, f.recording",
    );
    segment.push_frames(&mut select);
    type Words =
        (Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
    let frames: Vec<Words> = select.build_query_as().fetch_all(&mut *connection).await?;
    let left: BTreeSet<i64> = frames
        .into_iter()
        .flat_map(|(a, b, c, d, e, f, g, h)| -> [Option<i64>; COLUMNS] { [a, b, c, d, e, f, g, h] })
        .flatten()
        .collect();
    let used = query_as::<Database, (i64,)>("SELECT word FROM word_uses WHERE segment = $1 ORDER BY word");
    let used: Vec<(i64,)> = used.bind(segment.number).fetch_all(&mut *connection).await?;
    let gone: Vec<i64> = used.into_iter().map(|(word,)| word).filter(|word| !left.contains(word)).collect();
    for words in gone.chunks(WORDS_AT_ONCE) {
        let mut delete = QueryBuilder::<Database>::new("DELETE FROM word_uses WHERE segment = ");
        delete.push_bind(segment.number).push(" AND word IN (");
        push_listed(&mut delete, words);
        delete.push(")").build().persistent(false).execute(&mut *connection).await?;
        let mut mark = QueryBuilder::<Database>::new(
            "UPDATE words SET let_go = 1 WHERE id IN (SELECT id FROM words WHERE let_go = 0 AND id IN (",
        );
        push_listed(&mut mark, words);
        mark.push(") ORDER BY id").push(TAKE_WORDS).push(")");
        mark.build().persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}

fn push_listed(statement: &mut QueryBuilder<Database>, words: &[i64]) {
    let mut listed = statement.separated(", ");
    for word in words {
        listed.push_bind(*word);
    }
}

/// Looks at up to `limit` words behind a number that were let go of, and forgets those that nothing refers to: the last that was looked
/// at, if there may be more.
pub(super) async fn forget(connection: &mut Connection, after: i64, limit: u32) -> Result<Option<i64>, sqlx::Error> {
    let marked = query_as::<Database, (i64,)>("SELECT id FROM words WHERE let_go = 1 AND id > $1 ORDER BY id LIMIT $2");
    let marked: Vec<(i64,)> = marked.bind(after).bind(i64::from(limit)).fetch_all(&mut *connection).await?;
    let mut transaction = connection.begin_with(BEGIN).await?;
    for (word,) in &marked {
        // What a commit holds is for the next time: who waits for one word while it has another would be waited for.
        let alone = query_as::<Database, (i64,)>(FORGET_WORD).bind(word).fetch_optional(&mut *transaction).await?;
        if alone.is_none() {
            continue;
        }
        let gone = query::<Database>(
            "DELETE FROM words WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM word_uses WHERE word = $1)
             AND NOT EXISTS (SELECT 1 FROM sources WHERE fleet = $1 OR node = $1)
             AND NOT EXISTS (SELECT 1 FROM tapes WHERE principal = $1) AND NOT EXISTS (SELECT 1 FROM tapes WHERE route = $1)",
        );
        if gone.bind(word).execute(&mut *transaction).await?.rows_affected() > 0 {
            query::<Database>("DELETE FROM retentions WHERE recording = $1")
                .bind(word)
                .execute(&mut *transaction)
                .await?;
            continue;
        }
        // A tape says nothing when it goes: what only tapes refer to is looked at again.
        query::<Database>(
            "UPDATE words SET let_go = 0 WHERE id = $1 AND (EXISTS (SELECT 1 FROM word_uses WHERE word = $1)
                 OR EXISTS (SELECT 1 FROM sources WHERE fleet = $1 OR node = $1))",
        )
        .bind(word)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(marked.last().filter(|_| marked.len() >= limit as usize).map(|(word,)| *word))
}
