//! Immediate confirmation: with a check a minute, an outage is known from the
//! first check that fails, and a failure of one region stays one region's.

use anyhow::{Context, Result, ensure};
use hyperverge_cli::demo::target::Switch;
use hyperverge_cli::wait::{Seen, until};
use hyperverge_e2e::database::{Database, Order};
use hyperverge_e2e::{Bed, Setup};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

const REGIONS: [&str; 3] = ["ap-south", "eu-west", "us-east"];
/// A round of the slots, and as long again.
const WITHIN: Duration = Duration::from_secs(150);

/// A monitor that each region checks once a minute, seen up by all.
async fn watched() -> Result<(Bed, String)> {
    let bed = Bed::raise(Setup { regions: REGIONS.to_vec(), ..Setup::default() }).await?;
    bed.make_channels().await?;
    let monitor = bed.make_monitor("checkout", "60s", json!({ "regions": REGIONS })).await?;
    bed.until_up(&monitor, REGIONS.len(), WITHIN).await?;
    Ok((bed, monitor))
}

/// The orders of the monitor's bursts, once each is settled.
async fn settled(database: &Database, monitor: Uuid) -> Result<Vec<Order>> {
    until("a burst is settled", WITHIN, async || {
        let orders = database.burst_orders(monitor).await?;
        let over = !orders.is_empty() && orders.iter().all(|order| order.outcome.is_some());
        Ok(if over { Seen::Yes(orders) } else { Seen::NotYet(format!("{orders:?}")) })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_known_from_the_first_check_that_fails() -> Result<()> {
    let (bed, monitor) = watched().await?;
    let database = Database::open(&bed.control_plane.database()).await?;
    bed.target.set(Switch::BrokenForAll);
    let down = |incident: &hyperverge_cli::client::Incident| incident.verdict == "down";
    let incident = bed.until_incident(&monitor, "a quorum has it down", WITHIN, down).await?;
    bed.until_told(&incident.id, &["opened"], WITHIN).await?;

    let monitor = monitor.parse()?;
    let orders = settled(&database, monitor).await?;
    let regions: Vec<_> = orders.iter().map(|order| order.region.as_str()).collect();
    ensure!(regions == REGIONS, "one burst, and each region asked once: {orders:?}");
    ensure!(orders.iter().all(|order| order.sent && order.failures == 2), "{orders:?}");

    // The verdict came of the burst: by then no region had failed two slots of its own.
    let at = database.down_at(incident.id.parse()?).await?.context("an event that says down")?;
    let mut own: BTreeMap<String, usize> = BTreeMap::new();
    let mut confirmed: BTreeMap<String, usize> = BTreeMap::new();
    for check in database.checks(monitor).await? {
        if check.failed && check.received_at <= at {
            let counts = if check.burst.is_nil() { &mut own } else { &mut confirmed };
            *counts.entry(check.region).or_default() += 1;
        }
    }
    ensure!(own.values().all(|slots| *slots == 1), "slots decided: {own:?}");
    ensure!(confirmed.len() >= 2, "a quorum of two was confirmed: {confirmed:?}, {own:?}");
    let checks = database.checks(monitor).await?;
    for region in REGIONS {
        let mine = checks.iter().filter(|check| check.region == region && !check.burst.is_nil());
        let indices: Vec<_> = mine.map(|check| (check.burst, check.index, check.failed)).collect();
        let burst = orders[0].burst;
        ensure!(indices == [(burst, 1, true), (burst, 2, true)], "{region}: {indices:?}");
    }
    bed.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_one_region_is_known_as_one_and_pages_nobody() -> Result<()> {
    let (bed, monitor) = watched().await?;
    let database = Database::open(&bed.control_plane.database()).await?;
    bed.target.set(Switch::BrokenFor(REGIONS[0].to_owned()));
    let local = |incident: &hyperverge_cli::client::Incident| incident.scope == "local";
    let incident = bed.until_incident(&monitor, "it is local", WITHIN, local).await?;

    let orders = settled(&database, monitor.parse()?).await?;
    let answers: Vec<_> = orders
        .iter()
        .map(|order| (order.region.as_str(), order.failures, order.successes))
        .collect();
    let wanted = [(REGIONS[0], 2, 0), (REGIONS[1], 0, 1), (REGIONS[2], 0, 1)];
    ensure!(answers == wanted, "one burst, in which the others see it well: {orders:?}");
    let seen = bed.client.monitor_regions(&monitor).await?;
    ensure!(seen.verdict == "up", "{seen:?}");

    // Whatever was to be told of it has been decided.
    until("no page waits to be sent", WITHIN, async || {
        let waiting = database.unsettled_intents().await?;
        Ok(if waiting == 0 { Seen::Yes(()) } else { Seen::NotYet(format!("{waiting} wait")) })
    })
    .await?;
    let deliveries = database.deliveries().await?;
    ensure!(deliveries.is_empty(), "about {}: {deliveries:?}", incident.id);
    ensure!(bed.receiver()?.arrivals()?.is_empty(), "somebody was told of one region alone");
    bed.finish().await
}
