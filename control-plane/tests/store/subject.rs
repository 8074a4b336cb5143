//! A store under test, and the database below it.

use std::sync::Arc;

use shadowcat_control_plane::store::{self, Store, StoreError};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::postgres_server::PostgresServer;

/// A store in a database that nothing else uses.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) url: String,
    /// Of a database that is a file.
    _directory: Option<TempDir>,
}

impl Subject {
    pub(crate) async fn in_sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("control-plane.db").display());
        Self { store: store::open(&url).await.unwrap(), url, _directory: Some(directory) }
    }

    pub(crate) async fn in_postgres() -> Self {
        let url = PostgresServer::shared().await.database().await;
        Self { store: store::open(&url).await.unwrap(), url, _directory: None }
    }

    /// Another one of the same kind.
    pub(crate) async fn another(&self) -> Self {
        if self.url.starts_with("sqlite:") { Self::in_sqlite().await } else { Self::in_postgres().await }
    }

    /// Opens the same database once more.
    pub(crate) async fn open_again(&self) -> Result<Arc<dyn Store>, StoreError> {
        store::open(&self.url).await
    }

    /// What an administrator types.
    pub(crate) async fn sql(&self, text: &str) -> sqlx::Result<()> {
        let text = AssertSqlSafe(text.to_owned());
        if self.url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&self.url).await?;
            sqlx::raw_sql(text).execute(&mut connection).await?;
        } else {
            let mut connection = PgConnection::connect(&self.url).await?;
            sqlx::raw_sql(text).execute(&mut connection).await?;
        }
        Ok(())
    }
}
