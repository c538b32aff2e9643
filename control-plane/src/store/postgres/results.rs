//! Inserting results into PostgreSQL: one array for each column.

use super::Transaction;
use crate::store::StoreError;
use crate::store::results::{NewResult, Origin};
use sqlx::Arguments;
use sqlx::Executor;
use sqlx::postgres::PgArguments;

const SQL: &str = "INSERT INTO results (organisation_id, region_id, agent_id, lane, batch_number,
        undated, received_at, monitor_id, revision, slot, burst_id, burst_index, due_us, started_us,
        ended_us, outcome, reason, message, resolve_us, connect_us, tls_us, processing_us,
        transfer_us, address, status, certificate_expires_s, sample, redirects, body_bytes,
        details)
    SELECT $1, $2, $3, $4, $5, $6, $7, r.* FROM UNNEST($8::uuid[], $9::bigint[], $10::bigint[],
        $11::uuid[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
        $17::text[], $18::text[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[],
        $23::bigint[], $24::text[], $25::bigint[], $26::bigint[], $27::bytea[], $28::bigint[],
        $29::bigint[], $30::bytea[]) AS r
    ON CONFLICT DO NOTHING";

impl Transaction {
    /// See [`crate::store::results::insert`].
    pub(in crate::store) async fn insert_results(
        &mut self,
        origin: &Origin,
        rows: &[NewResult],
    ) -> Result<u64, StoreError> {
        let arguments =
            bind(origin, rows).map_err(|error| StoreError::Database(sqlx::Error::Encode(error)))?;
        let query = sqlx::query_with(SQL, arguments).persistent(false);
        Ok((&mut *self.inner).execute(query).await?.rows_affected())
    }
}

fn bind(origin: &Origin, rows: &[NewResult]) -> Result<PgArguments, sqlx::error::BoxDynError> {
    fn column<T>(rows: &[NewResult], of: impl Fn(&NewResult) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    let mut a = PgArguments::default();
    a.add(origin.organisation_id)?;
    a.add(origin.region_id)?;
    a.add(origin.agent_id.clone())?;
    a.add(origin.lane)?;
    a.add(origin.batch_number)?;
    a.add(origin.undated)?;
    a.add(origin.received_at)?;
    a.add(column(rows, |row| row.monitor_id))?;
    a.add(column(rows, |row| row.revision))?;
    a.add(column(rows, |row| row.slot))?;
    a.add(column(rows, |row| row.burst_id))?;
    a.add(column(rows, |row| row.burst_index))?;
    a.add(column(rows, |row| row.due_us))?;
    a.add(column(rows, |row| row.started_us))?;
    a.add(column(rows, |row| row.ended_us))?;
    a.add(column(rows, |row| row.outcome))?;
    a.add(column(rows, |row| row.reason.clone()))?;
    a.add(column(rows, |row| row.message.clone()))?;
    a.add(column(rows, |row| row.resolve_us))?;
    a.add(column(rows, |row| row.connect_us))?;
    a.add(column(rows, |row| row.tls_us))?;
    a.add(column(rows, |row| row.processing_us))?;
    a.add(column(rows, |row| row.transfer_us))?;
    a.add(column(rows, |row| row.address.clone()))?;
    a.add(column(rows, |row| row.status))?;
    a.add(column(rows, |row| row.certificate_expires_s))?;
    a.add(column(rows, |row| row.sample.clone()))?;
    a.add(column(rows, |row| row.redirects))?;
    a.add(column(rows, |row| row.body_bytes))?;
    a.add(column(rows, |row| row.details.clone()))?;
    Ok(a)
}
