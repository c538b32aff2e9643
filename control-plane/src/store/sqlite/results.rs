//! Inserting results into SQLite: several rows a statement, of a few fixed sizes,
//! so that the statements stay prepared.
//!
//! Parameters have no names, though that repeats what all rows share: the driver asks
//! for each one's name, and SQLite finds a named one by walking through all of them. With
//! thousands of parameters that took longer than everything else about an insert.

use super::Transaction;
use crate::store::StoreError;
use crate::store::results::{NewResult, Origin};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Executor};
use std::sync::LazyLock;

/// Rows of one statement, largest first. A row binds 30 values, and SQLite takes 32 766.
const SIZES: [usize; 4] = [128, 32, 8, 1];
const ROW_PARAMS: usize = 30;

static STATEMENTS: LazyLock<[String; 4]> = LazyLock::new(|| SIZES.map(statement));

fn statement(rows: usize) -> String {
    let row = format!("({})", ["?"; ROW_PARAMS].join(","));
    format!(
        "INSERT INTO results (organisation_id, region_id, agent_id, lane, batch_number, undated,
            received_at, monitor_id, revision, slot, burst_id, burst_index, due_us, started_us,
            ended_us, outcome, reason, message, resolve_us, connect_us, tls_us, processing_us,
            transfer_us, address, status, certificate_expires_s, sample, redirects, body_bytes,
            details)
        VALUES {} ON CONFLICT DO NOTHING",
        vec![row; rows].join(",")
    )
}

impl Transaction {
    /// See [`crate::store::results::insert`].
    pub(in crate::store) async fn insert_results(
        &mut self,
        origin: &Origin,
        rows: &[NewResult],
    ) -> Result<u64, StoreError> {
        let mut stored = 0;
        let mut rest = rows;
        for (size, sql) in SIZES.iter().zip(STATEMENTS.iter()) {
            let whole = rest.len() - rest.len() % size;
            let (now, later) = rest.split_at(whole);
            for chunk in now.chunks(*size) {
                let arguments = bind(origin, chunk)
                    .map_err(|error| StoreError::Database(sqlx::Error::Encode(error)))?;
                let query = sqlx::query_with(AssertSqlSafe(sql.as_str()), arguments);
                stored += (&mut *self.inner).execute(query).await?.rows_affected();
            }
            rest = later;
        }
        Ok(stored)
    }
}

fn bind(origin: &Origin, rows: &[NewResult]) -> Result<SqliteArguments, sqlx::error::BoxDynError> {
    let mut a = SqliteArguments::default();
    for row in rows {
        a.add(origin.organisation_id)?;
        a.add(origin.region_id)?;
        a.add(origin.agent_id.clone())?;
        a.add(origin.lane)?;
        a.add(origin.batch_number)?;
        a.add(origin.undated)?;
        a.add(origin.received_at)?;
        a.add(row.monitor_id)?;
        a.add(row.revision)?;
        a.add(row.slot)?;
        a.add(row.burst_id)?;
        a.add(row.burst_index)?;
        a.add(row.due_us)?;
        a.add(row.started_us)?;
        a.add(row.ended_us)?;
        a.add(row.outcome)?;
        a.add(row.reason.clone())?;
        a.add(row.message.clone())?;
        a.add(row.resolve_us)?;
        a.add(row.connect_us)?;
        a.add(row.tls_us)?;
        a.add(row.processing_us)?;
        a.add(row.transfer_us)?;
        a.add(row.address.clone())?;
        a.add(row.status)?;
        a.add(row.certificate_expires_s)?;
        a.add(row.sample.clone())?;
        a.add(row.redirects)?;
        a.add(row.body_bytes)?;
        a.add(row.details.clone())?;
    }
    Ok(a)
}
