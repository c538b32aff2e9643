//! A control plane that is away for a while loses no result: agents go on
//! probing and hand everything in afterwards, every slot of it.

use crate::account;
use anyhow::{Result, ensure};
use hyperverge_cli::wait::{Seen, until};
use hyperverge_e2e::database::Database;
use hyperverge_e2e::{Bed, Setup};
use serde_json::json;
use std::time::Duration;

const REGIONS: [&str; 2] = ["eu-west", "us-east"];
const WITHIN: Duration = Duration::from_secs(60);
const AWAY: Duration = Duration::from_secs(15);
const GO_ON: Duration = Duration::from_secs(5);
/// Agents are told that their connection is gone; left to three heartbeats
/// without an answer, they would take 30 s to find out.
const BACK_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_probed_while_the_control_plane_was_away_arrives_afterwards() -> Result<()> {
    let mut bed = Bed::raise(Setup { regions: REGIONS.to_vec(), ..Setup::default() }).await?;
    bed.make_channels().await?;
    let monitor = bed.make_monitor("checkout", "1s", json!({ "regions": REGIONS })).await?;
    bed.until_up(&monitor, REGIONS.len(), WITHIN).await?;

    bed.control_plane.kill().await?;
    // Not a wait for something: the absence itself.
    tokio::time::sleep(AWAY).await;
    bed.control_plane.start().await?;
    bed.until_reported_for(&monitor, &REGIONS, GO_ON, BACK_WITHIN).await?;

    // What comes first after a reconnection is old already: that a region reports says little.
    let database = Database::open(&bed.control_plane.database()).await?;
    let least = usize::try_from(AWAY.as_secs())?;
    until("more slots are stored than the absence had", WITHIN, async || {
        let slots = database.slots().await?;
        let full = slots.values().filter(|slots| slots.len() > least).count();
        Ok(match full == REGIONS.len() {
            true => Seen::Yes(()),
            false => Seen::NotYet(format!("{slots:?}")),
        })
    })
    .await?;
    account::until_no_gaps(&database, REGIONS.len(), WITHIN).await?;
    let missed = database.missed().await?;
    ensure!(missed.is_empty(), "the agents ran all the time, yet slots were missed: {missed:?}");
    account::every_acknowledged_result_is_stored_once(&bed, &database).await?;
    account::counters_agree_with_batches(&database).await?;
    drop(database);
    bed.finish().await
}
