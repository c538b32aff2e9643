//! Once a second, for all sessions of this gateway together: what they reported
//! is written, and what concerns them is read.
//!
//! One transaction writes all heartbeats of the second, and that this gateway was there to
//! hear them, one looks for
//! revocations, newer sets and orders of bursts, so the database's work does not grow with the
//! number of frames. A hint on `wake.gateway` brings the round forward.

use super::endpoint::Gateway;
use super::registry::{Ending, Reporter};
use crate::limits::{BURST_ORDERS_READ, GATEWAY_POLL};
use crate::store::bursts::{self, OpenOrder};
use crate::store::{StoreError, Tx, agents, assignments, gateways};
use crate::{clock, telemetry};
use std::collections::BTreeMap;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Goes its rounds until `stop`, and once more for what was reported last.
pub(super) async fn run(gateway: &Gateway, stop: CancellationToken) {
    let mut failing = false;
    let mut sign = Sign { run: clock::new_id(), given: None };
    loop {
        let last = stop.is_cancelled();
        let outcome = round(gateway, &mut sign).await;
        // Said once for each outage; the sessions stay, and what they report is kept.
        match (&outcome, failing) {
            (Err(error), false) => {
                let error = telemetry::chain(error);
                tracing::error!(error, "the gateway's rounds fail; sessions stay");
            }
            (Ok(()), true) => tracing::info!("the gateway's rounds reach the database again"),
            _ => {}
        }
        failing = outcome.is_err();
        if last {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = gateway.shared.wake.gateway.notified() => {}
            () = tokio::time::sleep(GATEWAY_POLL) => {}
        }
    }
}

/// That this gateway is there. While nobody's is, nobody is late.
struct Sign {
    /// This run of it.
    run: Uuid,
    /// When it was given last.
    given: Option<Instant>,
}

impl Sign {
    /// Hints may bring rounds forward, and signs need not be given more often for it.
    fn is_due(&self) -> bool {
        self.given.is_none_or(|given| given.elapsed() >= GATEWAY_POLL)
    }
}

async fn round(gateway: &Gateway, sign: &mut Sign) -> Result<(), StoreError> {
    gateway.clock.look(&gateway.shared.store).await?;
    let reporters = gateway.registry.take_reports();
    if !reporters.is_empty() || sign.is_due() {
        match write(gateway, &reporters, sign).await {
            Ok(stale) => stale.into_iter().for_each(|reporter| {
                let session = Some(reporter.session_id);
                gateway.registry.end(&reporter.agent_id, session, Ending::Superseded);
            }),
            Err(error) => {
                gateway.registry.return_reports(reporters);
                return Err(error);
            }
        }
    }
    look(gateway).await
}

/// Writes the reports and the sign; those reports of sessions that are not their agent's newest.
async fn write<'r>(
    gateway: &Gateway,
    reporters: &'r [Reporter],
    sign: &mut Sign,
) -> Result<Vec<&'r Reporter>, StoreError> {
    let mut stale = Vec::new();
    let mut tx = gateway.shared.store.begin().await?;
    let now = tx.now().await?;
    gateways::hear(&mut tx, sign.run, now).await?;
    for reporter in reporters {
        if !write_one(&mut tx, reporter, now).await? {
            stale.push(reporter);
        }
    }
    tx.commit().await?;
    sign.given = Some(clock::monotonic());
    Ok(stale)
}

async fn write_one(tx: &mut Tx, reporter: &Reporter, now: i64) -> Result<bool, StoreError> {
    let Reporter { agent_id, organisation_id, session_id, report } = reporter;
    let mut newest = true;
    if let Some(skew) = report.heartbeat_skew_ms {
        newest &= agents::heartbeat(tx, *organisation_id, agent_id, *session_id, skew, now).await?;
    }
    if let Some(version) = report.accepted_set {
        newest &= agents::accept_set(tx, *organisation_id, agent_id, *session_id, version).await?;
    }
    if !report.sent_bursts.is_empty() {
        let ids = report.sent_bursts.clone();
        bursts::sent(tx, *organisation_id, agent_id, ids, now).await?;
    }
    Ok(newest)
}

/// Looks for agents that may not take part any more, for newer sets, and for
/// orders of bursts.
async fn look(gateway: &Gateway) -> Result<(), StoreError> {
    let ids = gateway.registry.agent_ids();
    if ids.is_empty() {
        return Ok(());
    }
    let mut tx = gateway.shared.store.read().await?;
    for (agent_id, state) in agents::barred(&mut tx, ids.clone()).await? {
        gateway.registry.end(&agent_id, None, Ending::Barred(state));
    }
    for (agent_id, version) in assignments::set_versions(&mut tx, ids.clone()).await? {
        gateway.registry.announce_set(&agent_id, version);
    }
    let now = tx.now().await?;
    let mut orders: BTreeMap<String, Vec<OpenOrder>> = BTreeMap::new();
    for order in bursts::open_orders(&mut tx, ids, now, BURST_ORDERS_READ).await? {
        orders.entry(order.agent_id.clone()).or_default().push(order);
    }
    gateway.registry.announce_bursts(orders);
    Ok(())
}
