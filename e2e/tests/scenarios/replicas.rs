//! Several replicas with split roles on one PostgreSQL, one of which is killed in
//! the middle of an outage: the incident, its page and its end are as if there
//! had been one process.

use anyhow::{Result, ensure};
use hyperverge_cli::demo::target::Switch;
use hyperverge_e2e::{Bed, Layout, Setup};
use serde_json::json;
use std::time::Duration;

const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
const WITHIN: Duration = Duration::from_secs(60);
const GO_ON: Duration = Duration::from_secs(3);
/// Sessions of the killed gateway time out before its agents go to the other.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_survives_the_loss_of_a_replica() -> Result<()> {
    let setup = Setup { regions: REGIONS.to_vec(), layout: Layout::Split, ..Setup::default() };
    let mut bed = Bed::raise(setup).await?;
    bed.make_channels().await?;
    let monitor = bed.make_monitor("checkout", "1s", json!({ "regions": REGIONS })).await?;
    bed.until_up(&monitor, REGIONS.len(), WITHIN).await?;

    bed.target.set(Switch::BrokenForAll);
    let incident = bed
        .until_incident(&monitor, "it is down", WITHIN, |incident| incident.verdict == "down")
        .await?;
    bed.until_told(&incident.id, &["opened"], WITHIN).await?;

    bed.gateways[0].kill().await?;
    bed.target.set(Switch::Good);
    let resolved = bed
        .until_incident(&monitor, "it is resolved", HANDED_OVER_WITHIN, |incident| {
            incident.state == "resolved"
        })
        .await?;
    ensure!(resolved.id == incident.id, "{resolved:?}");
    bed.until_told(&incident.id, &["opened", "resolved"], WITHIN).await?;
    bed.until_up(&monitor, REGIONS.len(), HANDED_OVER_WITHIN).await?;
    ensure!(bed.incidents_of(&monitor).await?.len() == 1, "one trouble, one incident");

    bed.gateways[0].start().await?;
    bed.until_reported_for(&monitor, &REGIONS, GO_ON, WITHIN).await?;
    bed.finish().await
}
