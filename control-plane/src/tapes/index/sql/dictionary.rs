//! Words and their numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::{AssertSqlSafe, query, query_as};

use super::super::{Database, HOLD_WORDS};
use super::{Connection, names};

/// Words that are remembered: those of a fleet's routes, tools, methods and callers. Beyond it all are forgotten and asked for again.
const WORDS_MAX: usize = 64 * 1024;

/// Words and their numbers, as far as they are remembered. No number is given again, so that one which is still there is that of its
/// word; one that is not was forgotten, by whichever replica.
#[derive(Debug, Default)]
pub(super) struct Dictionary(Mutex<HashMap<String, i64>>);

impl Dictionary {
    /// The numbers of these words, which get one if they have none, and are held until the transaction ends. Only what is in the database for good is remembered: the caller
    /// says so with [`Dictionary::remember`] after its commit.
    pub(super) async fn numbers<'a>(
        &self,
        connection: &mut Connection,
        words: BTreeSet<&'a str>,
    ) -> Result<HashMap<&'a str, i64>, sqlx::Error> {
        let remembered: BTreeMap<i64, &str> = {
            let known = self.locked();
            words.iter().filter_map(|word| Some((*known.get(*word)?, *word))).collect()
        };
        let mut found: HashMap<&str, i64> = names::hold(connection, &remembered).await?.into_iter().collect();
        // In one order everywhere: two replicas that add the same words wait for each other.
        for word in words {
            if !found.contains_key(word) {
                found.insert(word, number(connection, word).await?);
            }
        }
        Ok(found)
    }

    /// These numbers are in the database for good.
    pub(super) fn remember(&self, numbers: &HashMap<&str, i64>) {
        let mut known = self.locked();
        if known.len() + numbers.len() > WORDS_MAX {
            known.clear();
        }
        for (word, number) in numbers {
            if known.get(*word) != Some(number) {
                known.insert((*word).to_owned(), *number);
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn number(connection: &mut Connection, word: &str) -> Result<i64, sqlx::Error> {
    // A look first: nearly every word is there, and who only reads takes no number.
    if let Some(found) = hold(connection, word).await? {
        return Ok(found);
    }
    query::<Database>("INSERT INTO words (word) VALUES ($1) ON CONFLICT (word) DO NOTHING")
        .bind(word)
        .execute(&mut *connection)
        .await?;
    hold(connection, word).await?.ok_or(sqlx::Error::RowNotFound)
}

/// The number of a word that has one, which stays its own until the transaction ends.
async fn hold(connection: &mut Connection, word: &str) -> Result<Option<i64>, sqlx::Error> {
    let statement = AssertSqlSafe(format!("SELECT id FROM words WHERE word = $1{HOLD_WORDS}"));
    let found = query_as::<Database, (i64,)>(statement).bind(word);
    Ok(found.fetch_optional(connection).await?.map(|(number,)| number))
}

/// The number of a word that has one.
pub(super) async fn look(connection: &mut Connection, word: &str) -> Result<Option<i64>, sqlx::Error> {
    let found = query_as::<Database, (i64,)>("SELECT id FROM words WHERE word = $1").bind(word);
    Ok(found.fetch_optional(connection).await?.map(|(number,)| number))
}
