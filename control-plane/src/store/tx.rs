//! A transaction. Dropped without [`Tx::commit`], it is rolled back.

use super::value::RowKind;
use super::{Dialect, Row, StoreError, Value, postgres, sqlite};

/// An open transaction on either back end.
#[derive(Debug)]
pub struct Tx(pub(super) TxKind);

#[derive(Debug)]
pub(super) enum TxKind {
    Sqlite(sqlite::Transaction),
    Postgres(postgres::Transaction),
}

impl Tx {
    /// Which back end this runs on.
    pub fn dialect(&self) -> Dialect {
        match self.0 {
            TxKind::Sqlite(_) => Dialect::Sqlite,
            TxKind::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement and says how many rows it changed.
    pub async fn execute(
        &mut self,
        sql: &'static str,
        params: Vec<Value>,
    ) -> Result<u64, StoreError> {
        match &mut self.0 {
            TxKind::Sqlite(tx) => tx.execute(sql, params).await,
            TxKind::Postgres(tx) => tx.execute(sql, params).await,
        }
    }

    /// Runs a query and returns every row; the statement carries its own LIMIT.
    pub async fn fetch_all(
        &mut self,
        sql: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        match &mut self.0 {
            TxKind::Sqlite(tx) => Ok(wrap(tx.fetch_all(sql, params).await?, RowKind::Sqlite)),
            TxKind::Postgres(tx) => Ok(wrap(tx.fetch_all(sql, params).await?, RowKind::Postgres)),
        }
    }

    /// Runs a query that has one row or none.
    pub async fn fetch_optional(
        &mut self,
        sql: &'static str,
        params: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch_all(sql, params).await?.into_iter().next())
    }

    /// The database's time, ms since the Unix epoch. It moves on within a transaction.
    pub async fn now(&mut self) -> Result<i64, StoreError> {
        let sql = match self.dialect() {
            Dialect::Sqlite => sqlite::NOW,
            Dialect::Postgres => postgres::NOW,
        };
        let rows = self.fetch_all(sql, Vec::new()).await?;
        rows.first().ok_or(StoreError::Database(sqlx::Error::RowNotFound))?.get("now")
    }

    /// The clause that makes a SELECT lock its rows until the commit. SQLite has
    /// one writer, so a transaction from `begin` holds everything already.
    pub fn for_update<'a>(&self, plain: &'a str, locking: &'a str) -> &'a str {
        match self.dialect() {
            Dialect::Sqlite => plain,
            Dialect::Postgres => locking,
        }
    }

    /// Makes it durable. On an error nothing of it happened, unless the
    /// connection broke during the commit itself, when the caller must look.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.0 {
            TxKind::Sqlite(tx) => tx.commit().await,
            TxKind::Postgres(tx) => tx.commit().await,
        }
    }
}

fn wrap<R>(rows: Vec<R>, kind: fn(R) -> RowKind) -> Vec<Row> {
    rows.into_iter().map(|row| Row(kind(row))).collect()
}
