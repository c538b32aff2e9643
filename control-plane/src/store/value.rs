//! Parameters and columns, in the types both back ends have.

use super::StoreError;
use sqlx::{Postgres, Row as _, Sqlite};
use uuid::Uuid;

/// A statement's parameter. `None` is a typed NULL, which PostgreSQL insists on.
#[derive(Debug, Clone)]
pub enum Value {
    Int(Option<i64>),
    Real(Option<f64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Uuid(Option<Uuid>),
    /// For [`crate::among!`].
    Uuids(Vec<Uuid>),
    /// For [`crate::among!`].
    Texts(Vec<String>),
}

macro_rules! from {
    ($($source:ty => $variant:ident, $convert:expr;)*) => {$(
        impl From<$source> for Value {
            fn from(value: $source) -> Self {
                Self::$variant(Some($convert(value)))
            }
        }
        impl From<Option<$source>> for Value {
            fn from(value: Option<$source>) -> Self {
                Self::$variant(value.map($convert))
            }
        }
    )*};
}

from! {
    i64 => Int, |v| v;
    i32 => Int, i64::from;
    u32 => Int, i64::from;
    f64 => Real, |v| v;
    bool => Bool, |v| v;
    &str => Text, str::to_owned;
    String => Text, |v| v;
    &String => Text, String::clone;
    Vec<u8> => Bytes, |v| v;
    &[u8] => Bytes, <[u8]>::to_vec;
    Uuid => Uuid, |v| v;
    &Uuid => Uuid, |v: &Uuid| *v;
}

impl From<Vec<Uuid>> for Value {
    fn from(values: Vec<Uuid>) -> Self {
        Self::Uuids(values)
    }
}

impl From<Vec<String>> for Value {
    fn from(values: Vec<String>) -> Self {
        Self::Texts(values)
    }
}

/// A type that a column of either back end can be read as.
pub trait Column:
    for<'r> sqlx::Decode<'r, Sqlite>
    + sqlx::Type<Sqlite>
    + for<'r> sqlx::Decode<'r, Postgres>
    + sqlx::Type<Postgres>
{
}
impl<T> Column for T where
    T: for<'r> sqlx::Decode<'r, Sqlite>
        + sqlx::Type<Sqlite>
        + for<'r> sqlx::Decode<'r, Postgres>
        + sqlx::Type<Postgres>
{
}

/// A row of an answer.
#[derive(Debug)]
pub struct Row(pub(super) RowKind);

#[derive(Debug)]
pub(super) enum RowKind {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

impl Row {
    /// Reads `column`: `row.get::<i64>("revision")?`, `row.get::<Option<String>>("reason")?`.
    pub fn get<T: Column>(&self, column: &'static str) -> Result<T, StoreError> {
        match &self.0 {
            RowKind::Sqlite(row) => row.try_get(column),
            RowKind::Postgres(row) => row.try_get(column),
        }
        .map_err(|error| StoreError::Column { column, source: Box::new(error) })
    }

    /// Reads `column` as JSON text.
    pub fn json<T: serde::de::DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text)
            .map_err(|error| StoreError::Column { column, source: Box::new(error) })
    }

    /// Reads `column` as a word of ours (`FromStr`).
    pub fn word<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: std::str::FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text: String = self.get(column)?;
        text.parse().map_err(|error: T::Err| StoreError::Column { column, source: Box::new(error) })
    }

    /// Reads `column` as a word of ours, or NULL.
    pub fn optional_word<T>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T: std::str::FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text: Option<String> = self.get(column)?;
        text.map(|text| text.parse())
            .transpose()
            .map_err(|error: T::Err| StoreError::Column { column, source: Box::new(error) })
    }
}
