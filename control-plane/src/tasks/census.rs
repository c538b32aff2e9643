//! Counts for `/metrics` what only the database knows: agents by state and open
//! incidents by scope.
//!
//! Installation-wide, so every replica that has the role shows the same
//! numbers; a dashboard takes their maximum, not their sum.

use super::reconcile;
use crate::params;
use crate::shared::Shared;
use crate::store::StoreError;
use prometheus::IntGaugeVec;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const PERIOD: Duration = Duration::from_secs(15);
const AGENT_STATES: [&str; 4] = ["enrolled", "lost", "quarantined", "revoked"];
const SCOPES: [&str; 3] = ["local", "regional", "global"];

/// Runs until stopped.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let nobody = Notify::new();
    reconcile("census", &shared, &nobody, PERIOD, stop, || round(&shared)).await;
}

/// Counts once.
pub async fn round(shared: &Shared) -> Result<(), StoreError> {
    const AGENTS: &str = "SELECT
            CASE WHEN state = 'enrolled' AND lost_at IS NOT NULL THEN 'lost' ELSE state END AS word,
            COUNT(*) AS count FROM agents GROUP BY 1";
    const INCIDENTS: &str = "SELECT scope AS word, COUNT(*) AS count FROM incidents
        WHERE resolved_at IS NULL GROUP BY scope";
    show(shared, AGENTS, &shared.metrics.agents, &AGENT_STATES).await?;
    show(shared, INCIDENTS, &shared.metrics.incidents_open, &SCOPES).await
}

async fn show(
    shared: &Shared,
    sql: &'static str,
    gauges: &IntGaugeVec,
    words: &[&str],
) -> Result<(), StoreError> {
    let mut tx = shared.store.read().await?;
    let rows = tx.fetch_all(sql, params![]).await?;
    let mut counts = Vec::new();
    for row in &rows {
        counts.push((row.get::<String>("word")?, row.get::<i64>("count")?));
    }
    for word in words {
        let count = counts.iter().find(|(counted, _)| counted == word).map_or(0, |(_, n)| *n);
        gauges.with_label_values(&[*word]).set(count);
    }
    Ok(())
}
