//! The store: one SQL text, two back ends.
//!
//! A [`Store`] is an embedded SQLite file or a PostgreSQL that any number of
//! replicas share. Everything happens in a [`Tx`]: `begin` for writing, `read`
//! for a consistent look. Statements are written once in the subset both speak
//! (`$1` parameters, `ON CONFLICT`, `RETURNING`, partial indexes), so the two
//! cannot drift; the few that must differ (bulk inserts, claims, locks, the
//! clock) have a method on `Tx` whose two bodies stand in `sqlite/` and
//! `postgres/`. That every statement runs inside an explicit transaction and is
//! not prepared by name is also what makes a PgBouncer in transaction mode safe.
//!
//! **Aggregates.** Each module below is one aggregate: functions that take
//! `&mut Tx` and are named after their use (`claim_due`, not `update`). "Not
//! found" is `None`. To add one: a migration in both folders under the same
//! number and name, a module here, and its story in `tests/store/`, which runs
//! on both back ends.
//!
//! **Time** is the database's: [`Tx::now`].

pub mod agents;
pub mod assignments;
pub mod bursts;
pub mod channels;
pub mod comments;
pub mod deliveries;
pub mod gateways;
pub mod groups;
pub mod history;
pub mod idempotency;
pub mod incidents;
pub mod intents;
pub mod leases;
pub mod login_sessions;
pub mod maintenance_windows;
pub mod monitors;
pub mod notices;
pub mod organisations;
pub mod regions;
pub mod results;
pub mod retention;
pub mod routes;
pub mod sightings;
pub mod silences;
pub mod states;
pub mod tokens;
pub mod users;

mod error;
mod postgres;
mod sqlite;
mod tx;
mod value;

pub use error::StoreError;
pub use tx::Tx;
use tx::TxKind;
use uuid::Uuid;
pub use value::{Column, Row, Value};

/// Builds the parameter list of a statement: `params![id, name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::Value::from($value)),*] };
}

/// A statement that compares with a list, which the two back ends write apart:
/// `among!(tx, "SELECT … WHERE id ", uuids "$2", " AND …")`, with a parameter
/// that is a `Vec<Uuid>` (or, after `texts`, a `Vec<String>`).
#[macro_export]
macro_rules! among {
    ($tx:expr, $before:literal, uuids $list:literal, $after:literal) => {
        match $tx.dialect() {
            $crate::store::Dialect::Sqlite => {
                concat!($before, "IN (SELECT unhex(value) FROM json_each(", $list, "))", $after)
            }
            $crate::store::Dialect::Postgres => concat!($before, "= ANY(", $list, ")", $after),
        }
    };
    ($tx:expr, $before:literal, texts $list:literal, $after:literal) => {
        match $tx.dialect() {
            $crate::store::Dialect::Sqlite => {
                concat!($before, "IN (SELECT value FROM json_each(", $list, "))", $after)
            }
            $crate::store::Dialect::Postgres => concat!($before, "= ANY(", $list, ")", $after),
        }
    };
}

/// A statement over a list of rows, which a parameter holds as JSON (`rows_text`):
/// `listed!(tx, "$2", [id uuid, why text], "UPDATE … FROM listed l WHERE …")`. Kinds are
/// `uuid`, `bigint`, `text` and `boolean`.
#[macro_export]
macro_rules! listed {
    ($tx:expr, $list:literal, [$first:ident $kind:ident $(, $name:ident $kinds:ident)*], $rest:literal) => {
        match $tx.dialect() {
            $crate::store::Dialect::Sqlite => concat!(
                "WITH listed AS MATERIALIZED (SELECT ", $crate::listed!(@column $first $kind),
                $(", ", $crate::listed!(@column $name $kinds),)*
                " FROM json_each(", $list, ")) ", $rest
            ),
            $crate::store::Dialect::Postgres => concat!(
                "WITH listed AS (SELECT * FROM jsonb_to_recordset(CAST(", $list, " AS jsonb)) AS r(",
                stringify!($first), " ", stringify!($kind),
                $(", ", stringify!($name), " ", stringify!($kinds),)* ")) ", $rest
            ),
        }
    };
    (@column $name:ident uuid) => {
        concat!("unhex(value ->> '", stringify!($name), "') AS ", stringify!($name))
    };
    (@column $name:ident $kind:ident) => {
        concat!("value ->> '", stringify!($name), "' AS ", stringify!($name))
    };
}

/// Which back end a store runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// A database that is open, migrated and of a version this program knows.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
}

#[derive(Debug, Clone)]
enum Backend {
    Sqlite(sqlite::Database),
    Postgres(postgres::Database),
}

impl Store {
    /// Opens `url` (`sqlite:///path`, `sqlite::memory:` is refused, or
    /// `postgres://…`; several PostgreSQL URLs are separated by commas, and the
    /// writable one is used), and applies what migrations are missing.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let backend = if url.starts_with("sqlite:") {
            Backend::Sqlite(sqlite::Database::open(url).await?)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Backend::Postgres(postgres::Database::open(url).await?)
        } else {
            return Err(StoreError::Url);
        };
        Ok(Self { backend })
    }

    /// Which back end this is.
    pub fn dialect(&self) -> Dialect {
        match self.backend {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Begins a transaction that writes. On SQLite there is one writer at a time.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        match &self.backend {
            Backend::Sqlite(database) => database.begin().await,
            Backend::Postgres(database) => database.begin().await,
        }
    }

    /// Begins a transaction that only reads, from one snapshot.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        match &self.backend {
            Backend::Sqlite(database) => database.read().await,
            Backend::Postgres(database) => database.read().await,
        }
    }

    /// The database's time, ms.
    pub async fn now(&self) -> Result<i64, StoreError> {
        let mut tx = self.read().await?;
        tx.now().await
    }

    /// Closes every connection after what is under way.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite(database) => database.close().await,
            Backend::Postgres(database) => database.close().await,
        }
    }
}

/// Rows for [`crate::listed!`]: objects whose ids are written by [`listed_id`].
fn rows_text(rows: impl Iterator<Item = serde_json::Value>) -> String {
    serde_json::Value::Array(rows.collect()).to_string()
}

/// An id as [`crate::listed!`] reads it on either back end.
fn listed_id(id: Uuid) -> String {
    id.simple().to_string()
}

/// A value as the JSON text that `column` holds.
fn json_text<T: serde::Serialize>(column: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Column { column, source: Box::new(error) })
}
