//! PostgreSQL 15 and newer: the database that replicas share.
//!
//! Nothing here depends on session state, so a pooler in transaction mode may
//! stand between: statements run inside explicit transactions and are not
//! prepared by name. Migrations take sqlx's advisory lock and so want a direct
//! connection. Of several URLs the first that accepts writes is used, which is
//! how a failover between two servers is followed.

mod results;

use super::tx::{Tx, TxKind};
use super::{StoreError, Value};
use sqlx::postgres::{PgArguments, PgPool, PgPoolOptions, PgRow};
use sqlx::{Arguments, Executor, Postgres};
use std::time::Duration;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");

/// The clock of the database, ms.
pub(super) const NOW: &str =
    "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now";

const CONNECTIONS: u32 = 16;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// An open server.
#[derive(Debug, Clone)]
pub(super) struct Database {
    pool: PgPool,
}

/// A transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    inner: sqlx::Transaction<'static, Postgres>,
}

impl Database {
    pub(super) async fn open(urls: &str) -> Result<Self, StoreError> {
        let mut last = sqlx::Error::Configuration("no database url".into());
        for url in urls.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            match connect_writable(url).await {
                Ok(pool) => {
                    MIGRATIONS.run(&pool).await.map_err(StoreError::Migrate)?;
                    return Ok(Self { pool });
                }
                Err(error) => last = error,
            }
        }
        Err(StoreError::Open(last))
    }

    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = self.pool.begin().await?;
        Ok(Tx(TxKind::Postgres(Transaction { inner })))
    }

    pub(super) async fn read(&self) -> Result<Tx, StoreError> {
        let inner = self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(Tx(TxKind::Postgres(Transaction { inner })))
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

async fn connect_writable(url: &str) -> Result<PgPool, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect(url)
        .await?;
    let standby: bool =
        sqlx::query_scalar("SELECT pg_is_in_recovery()").persistent(false).fetch_one(&pool).await?;
    if standby {
        return Err(sqlx::Error::Configuration(
            "the server is a standby and takes no writes".into(),
        ));
    }
    Ok(pool)
}

impl Transaction {
    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        params: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let query = sqlx::query_with(sql, bind(params)?).persistent(false);
        Ok((&mut *self.inner).execute(query).await?.rows_affected())
    }

    pub(super) async fn fetch_all(
        &mut self,
        sql: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let query = sqlx::query_with(sql, bind(params)?).persistent(false);
        Ok((&mut *self.inner).fetch_all(query).await?)
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
}

fn bind(params: Vec<Value>) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    for param in params {
        match param {
            Value::Int(v) => arguments.add(v),
            Value::Real(v) => arguments.add(v),
            Value::Bool(v) => arguments.add(v),
            Value::Text(v) => arguments.add(v),
            Value::Bytes(v) => arguments.add(v),
            Value::Uuid(v) => arguments.add(v),
            Value::Uuids(v) => arguments.add(v),
            Value::Texts(v) => arguments.add(v),
        }
        .map_err(|error| StoreError::Database(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}
