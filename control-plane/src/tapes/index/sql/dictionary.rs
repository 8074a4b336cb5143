//! Words and their numbers.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::{query, query_as};

use super::super::Database;
use super::Connection;

/// Words that are remembered: those of a fleet's routes, tools, methods and callers. Beyond it all are forgotten and asked for again.
const WORDS_MAX: usize = 64 * 1024;

/// Words and their numbers, as far as they are remembered. Numbers never change and are never taken back, so nothing here grows old.
#[derive(Debug, Default)]
pub(super) struct Dictionary(Mutex<HashMap<String, i64>>);

impl Dictionary {
    /// The numbers of these words, which get one if they have none. Only what is in the database for good is remembered: the caller
    /// says so with [`Dictionary::remember`] after its commit.
    pub(super) async fn numbers<'a>(
        &self,
        connection: &mut Connection,
        words: BTreeSet<&'a str>,
    ) -> Result<HashMap<&'a str, i64>, sqlx::Error> {
        let mut found: HashMap<&str, i64> = {
            let known = self.locked();
            words.iter().filter_map(|word| Some((*word, *known.get(*word)?))).collect()
        };
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
            if !known.contains_key(*word) {
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
    if let Some(found) = look(connection, word).await? {
        return Ok(found);
    }
    query::<Database>("INSERT INTO words (word) VALUES ($1) ON CONFLICT (word) DO NOTHING")
        .bind(word)
        .execute(&mut *connection)
        .await?;
    look(connection, word).await?.ok_or(sqlx::Error::RowNotFound)
}

/// The number of a word that has one.
pub(super) async fn look(connection: &mut Connection, word: &str) -> Result<Option<i64>, sqlx::Error> {
    let found = query_as::<Database, (i64,)>("SELECT id FROM words WHERE word = $1").bind(word);
    Ok(found.fetch_optional(connection).await?.map(|(number,)| number))
}
