//! What may be forgotten, and how.

use super::{StoreError, Tx};
use crate::params;

/// A table whose old rows may go. `sql` takes the age limit (ms) and a row count.
#[derive(Debug)]
pub struct Forgettable {
    pub name: &'static str,
    /// Days its rows are kept; `None`: as long as results.
    pub days: Option<u32>,
    sql: &'static str,
}

/// Every such table. Incidents and their timelines are kept.
pub const TABLES: [&Forgettable; 13] = [
    &Forgettable {
        name: "results",
        days: None,
        sql: "DELETE FROM results WHERE (organisation_id, monitor_id, region_id, revision, slot, burst_id, burst_index) IN
            (SELECT organisation_id, monitor_id, region_id, revision, slot, burst_id, burst_index
             FROM results WHERE received_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "missed_slots",
        days: None,
        sql: "DELETE FROM missed_slots WHERE (organisation_id, monitor_id, region_id, revision, first_slot) IN
            (SELECT organisation_id, monitor_id, region_id, revision, first_slot
             FROM missed_slots WHERE received_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "agent_batches",
        days: None,
        sql: "DELETE FROM agent_batches WHERE (organisation_id, agent_id, lane, number) IN
            (SELECT organisation_id, agent_id, lane, number FROM agent_batches WHERE received_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "assignments",
        days: None,
        sql: "DELETE FROM assignments WHERE (organisation_id, monitor_id, region_id, revision, agent_id, first_slot) IN
            (SELECT organisation_id, monitor_id, region_id, revision, agent_id, first_slot
             FROM assignments WHERE ended_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "discredits",
        days: None,
        sql: "DELETE FROM discredits WHERE (organisation_id, agent_id, lost_at) IN
            (SELECT organisation_id, agent_id, lost_at FROM discredits WHERE regained_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "silences",
        days: None,
        sql: "DELETE FROM silences WHERE (organisation_id, id) IN
            (SELECT organisation_id, id FROM silences WHERE ends_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "maintenance_windows",
        days: None,
        sql: "DELETE FROM maintenance_windows WHERE (organisation_id, id) IN
            (SELECT organisation_id, id FROM maintenance_windows WHERE ends_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "burst_orders",
        days: None,
        sql: "DELETE FROM burst_orders WHERE (organisation_id, burst_id, region_id) IN
            (SELECT organisation_id, burst_id, region_id FROM burst_orders WHERE expires_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "bursts",
        days: None,
        sql: "DELETE FROM bursts WHERE (organisation_id, id) IN
            (SELECT organisation_id, id FROM bursts WHERE asked_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "gateways",
        days: Some(1),
        sql: "DELETE FROM gateways WHERE id IN
            (SELECT id FROM gateways WHERE heard_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "bursts_kept_back",
        days: None,
        sql: "DELETE FROM bursts_kept_back WHERE (organisation_id, monitor_id, kept_at, region_id) IN
            (SELECT organisation_id, monitor_id, kept_at, region_id
             FROM bursts_kept_back WHERE kept_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "sessions",
        days: Some(1),
        sql: "DELETE FROM sessions WHERE (organisation_id, id) IN
            (SELECT organisation_id, id FROM sessions WHERE expires_at < $1 LIMIT $2)",
    },
    &Forgettable {
        name: "idempotency_keys",
        days: Some(1),
        sql: "DELETE FROM idempotency_keys WHERE (organisation_id, idempotency_key) IN
            (SELECT organisation_id, idempotency_key FROM idempotency_keys WHERE created_at < $1 LIMIT $2)",
    },
];

/// The table of this name, if it may forget.
pub fn table(name: &str) -> Option<&'static Forgettable> {
    TABLES.into_iter().find(|table| table.name == name)
}

/// Deletes up to `rows` rows of `table` that are older than `before`.
pub async fn forget(
    tx: &mut Tx,
    table: &Forgettable,
    before: i64,
    rows: i64,
) -> Result<u64, StoreError> {
    tx.execute(table.sql, params![before, rows]).await
}
