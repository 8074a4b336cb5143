//! The file of a control plane on SQLite, in hands that are not the control plane's.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message as _;
use serde_json::Value;
use shadowcat_proto::config::v1::Config;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Executor as _, query};

/// What SQLite keeps beside a database, and beside that what is not written back yet.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// A database file.
#[derive(Debug, Clone)]
pub struct Database(PathBuf);

impl Database {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    async fn open(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(&self.0).connect().await.expect("the control plane made a database")
    }

    /// Commits, as the next version, what no validator has seen. The control plane must not run: it would not hear of it.
    pub async fn commit_unchecked(&self, configuration: &Value) {
        let config: Config = serde_json::from_value(configuration.clone()).expect("it has the form of a configuration");
        let content = config.encode_to_vec();
        let mut database = self.open().await;
        database.execute("UPDATE fleets SET head = head + 1 WHERE name = 'default'").await.expect("there is a fleet");
        let insert =
            "INSERT INTO versions SELECT name, head, $1, head - 1, 'a newer program', '', 0, 1, 1, $2 FROM fleets";
        let insert = query(insert).bind(digest(&SHA256, &content).as_ref()).bind(&content);
        insert.execute(&mut database).await.expect("a version is appended");
    }

    /// Lets the time of every join token run out.
    pub async fn expire_join_tokens(&self) {
        self.open().await.execute("UPDATE join_tokens SET expires_at = 1").await.expect("there are join tokens");
    }

    /// Keeps everybody else from writing until what it returns is dropped.
    pub async fn lock(&self) -> impl Sized + use<> {
        let mut database = self.open().await;
        database.execute("BEGIN IMMEDIATE").await.expect("nobody writes for long");
        database
    }

    /// Copies the database of a control plane that does not run to `directory`, or back from there.
    pub fn copy_to(&self, directory: &Path) {
        self.copy(&self.0, &directory.join("copy.db"));
    }

    /// Puts a copy in its place.
    pub fn restore_from(&self, directory: &Path) {
        self.remove();
        self.copy(&directory.join("copy.db"), &self.0);
    }

    fn copy(&self, from: &Path, to: &Path) {
        for end in FILES {
            // After an orderly stop there is the database alone.
            let _ = std::fs::copy(with(from, end), with(to, end));
        }
        assert!(to.exists(), "{} was copied", from.display());
    }

    /// Deletes it.
    pub fn remove(&self) {
        for end in FILES {
            let _ = std::fs::remove_file(with(&self.0, end));
        }
    }

    /// Moves it out of the way while it is in use.
    pub fn hide(&self) {
        std::fs::rename(&self.0, with(&self.0, ".hidden")).expect("a file can be moved");
    }

    /// Moves it back.
    pub fn unhide(&self) {
        std::fs::rename(with(&self.0, ".hidden"), &self.0).expect("a file can be moved back");
    }
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
