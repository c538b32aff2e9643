//! SQLite: one file, one writer, many readers.
//!
//! WAL with synchronous=FULL: a commit is on disk before it is answered. The
//! settings are stated here rather than inherited, and read back at start,
//! because a build of SQLite may default to less. The one writing connection is
//! handed out under a lock; a queue for a lock is fair and silent where
//! SQLITE_BUSY would be neither. The file is readable by its owner alone.

mod results;

use super::tx::{Tx, TxKind};
use super::{StoreError, Value};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{Arguments, Executor, Sqlite};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");

/// The clock of the database, ms.
pub(super) const NOW: &str = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now";

const READERS: u32 = 8;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// An open file.
#[derive(Debug, Clone)]
pub(super) struct Database {
    writer: SqlitePool,
    turn: Arc<Mutex<()>>,
    readers: SqlitePool,
}

/// A transaction; a writing one holds the writer's turn.
#[derive(Debug)]
pub(super) struct Transaction {
    inner: sqlx::Transaction<'static, Sqlite>,
    // Released after `inner`, whose field comes first.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Database {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(StoreError::Open)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        if url.contains(":memory:") {
            return Err(StoreError::Url);
        }
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(StoreError::Open)?;
        MIGRATIONS.run(&writer).await.map_err(StoreError::Migrate)?;
        require_durability(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(StoreError::Open)?;
        Ok(Self { writer, turn: Arc::default(), readers })
    }

    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        let turn = self.turn.clone().lock_owned().await;
        let inner = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Tx(TxKind::Sqlite(Transaction { inner, _turn: Some(turn) })))
    }

    pub(super) async fn read(&self) -> Result<Tx, StoreError> {
        let inner = self.readers.begin().await?;
        Ok(Tx(TxKind::Sqlite(Transaction { inner, _turn: None })))
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Asks SQLite what it really does: a promise of durability is not left to a default.
async fn require_durability(pool: &SqlitePool) -> Result<(), StoreError> {
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(pool).await?;
    if mode != "wal" || synchronous < 2 {
        return Err(StoreError::Open(sqlx::Error::Configuration(
            format!("journal_mode is {mode} and synchronous {synchronous}, not wal and 2").into(),
        )));
    }
    Ok(())
}

impl Transaction {
    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        params: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let query = sqlx::query_with(sql, bind(params)?);
        Ok((&mut *self.inner).execute(query).await?.rows_affected())
    }

    pub(super) async fn fetch_all(
        &mut self,
        sql: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let query = sqlx::query_with(sql, bind(params)?);
        Ok((&mut *self.inner).fetch_all(query).await?)
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
}

fn bind(params: Vec<Value>) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    for param in params {
        match param {
            Value::Int(v) => arguments.add(v),
            Value::Real(v) => arguments.add(v),
            Value::Bool(v) => arguments.add(v),
            Value::Text(v) => arguments.add(v),
            Value::Bytes(v) => arguments.add(v),
            Value::Uuid(v) => arguments.add(v),
            Value::Uuids(v) => arguments.add(json_list(v.iter().map(|id| id.simple()))),
            Value::Texts(v) => arguments.add(serde_json::Value::from(v).to_string()),
        }
        .map_err(|error| StoreError::Database(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}

/// A JSON list of words that need no escaping.
fn json_list<T: std::fmt::Display>(words: impl Iterator<Item = T>) -> String {
    let mut list = String::from("[");
    for word in words {
        list.push_str(if list.len() == 1 { "\"" } else { ",\"" });
        list.push_str(&word.to_string());
        list.push('"');
    }
    list.push(']');
    list
}
