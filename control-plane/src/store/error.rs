//! What can go wrong with a database, as far as a caller has to care.

/// A failed operation. `Display` leaves the driver's words to the source chain.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database url must begin with sqlite:// or postgres://")]
    Url,
    #[error("the database cannot be opened")]
    Open(#[source] sqlx::Error),
    #[error("the database is of another version than this program")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A unique key is taken; the caller knows which statement and so which.
    #[error("a row with this key exists")]
    Conflict,
    /// Two transactions met; the whole one may be tried again.
    #[error("the transaction met another and can be tried again")]
    Busy(#[source] sqlx::Error),
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    #[error("column {column} holds what this program cannot read")]
    Column {
        column: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether trying the whole transaction again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return Self::Database(error);
        };
        if database.is_unique_violation() {
            return Self::Conflict;
        }
        // PostgreSQL: serialization failure, deadlock, lock timeout. SQLite: BUSY and its extended codes.
        let code = database.code().unwrap_or_default();
        if matches!(&*code, "40001" | "40P01" | "55P03" | "5" | "261" | "517") {
            return Self::Busy(error);
        }
        Self::Database(error)
    }
}
