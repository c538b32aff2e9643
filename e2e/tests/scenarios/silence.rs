//! Our own silence is nobody's outage: a region without agents is `unknown`, and
//! a control plane that was away finds nobody lost when it is back.

use anyhow::{Result, ensure};
use hyperverge_cli::client::{MonitorRegions, RegionState};
use hyperverge_e2e::{Bed, Setup};
use serde_json::json;
use std::time::Duration;

const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
const KILLED: &str = "eu-north";
const STOPPED: &str = "sa-east";
const ALL: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);
/// Three heartbeats of 10 s and the shortened grace, with room.
const LOST_WITHIN: Duration = Duration::from_secs(120);
/// Longer than the 30 s after which an agent that is silent is lost.
const AWAY: Duration = Duration::from_secs(35);
/// Longer than being lost (30 s) and the shorter grace (5 s) together.
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_region_is_unknown_and_pages_nobody_about_monitors() -> Result<()> {
    let regions = [KILLED, STOPPED].into_iter().chain(REGIONS).collect();
    let control_plane_env = vec![("HYPERVERGE_LIVENESS__GRACE", "5s")];
    let mut bed = Bed::raise(Setup { regions, control_plane_env, ..Setup::default() }).await?;
    bed.make_channels().await?;
    let spec = json!({ "policy": { "stale_after": "5s" } });
    let monitor = bed.make_monitor("checkout", "1s", spec).await?;
    bed.until_up(&monitor, ALL, WITHIN).await?;

    // One agent dies, another says that it leaves: neither says anything about the target.
    bed.agent(KILLED)?.kill().await?;
    ensure!(bed.agent(STOPPED)?.terminate().await?, "the agent had to be killed");
    let silent = |item: &RegionState| [KILLED, STOPPED].contains(&item.region.as_str());
    let as_it_should = |seen: &MonitorRegions| {
        let state = |item: &RegionState| if silent(item) { "unknown" } else { "up" };
        seen.verdict == "up" && seen.items.iter().all(|item| item.state == state(item))
    };
    let what = "the silent regions are unknown, the others and the verdict up";
    bed.until_regions(&monitor, what, LOST_WITHIN, as_it_should).await?;

    // It stays so while the agents are lost and long after.
    bed.until_reported_for(&monitor, &REGIONS, PATIENCE, LOST_WITHIN).await?;
    let seen = bed.client.monitor_regions(&monitor).await?;
    ensure!(as_it_should(&seen) && seen.scope.is_none(), "{seen:?}");
    ensure!(bed.incidents_of(&monitor).await?.is_empty(), "an incident about the monitor");
    nobody_was_told_about_monitors(&bed)?;

    bed.agent(KILLED)?.start()?;
    bed.agent(STOPPED)?.start()?;
    bed.until_up(&monitor, ALL, LOST_WITHIN).await?;
    nobody_was_told_about_monitors(&bed)?;
    bed.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_was_away_finds_nobody_lost() -> Result<()> {
    let setup = Setup {
        regions: REGIONS.to_vec(),
        control_plane_env: vec![("HYPERVERGE_LIVENESS__GRACE", "20s")],
        ..Setup::default()
    };
    let mut bed = Bed::raise(setup).await?;
    bed.make_channels().await?;
    let spec = json!({ "regions": REGIONS, "policy": { "stale_after": "5s" } });
    let monitor = bed.make_monitor("checkout", "1s", spec).await?;
    bed.until_up(&monitor, REGIONS.len(), WITHIN).await?;

    bed.control_plane.kill().await?;
    // Not a wait for something: the absence itself, longer than an agent may be silent.
    tokio::time::sleep(AWAY).await;
    bed.control_plane.start().await?;
    bed.until_reported_for(&monitor, &REGIONS, PATIENCE, LOST_WITHIN).await?;
    bed.until_up(&monitor, REGIONS.len(), WITHIN).await?;

    let agents = bed.client.agents().await?;
    ensure!(agents.len() == REGIONS.len(), "{agents:?}");
    ensure!(agents.iter().all(|agent| agent.lost_at.is_none()), "an agent is lost: {agents:?}");
    let incidents = bed.client.incidents().await?;
    ensure!(incidents.is_empty(), "our own absence made an incident: {incidents:?}");
    ensure!(bed.receiver()?.arrivals()?.is_empty(), "our own absence paged somebody");
    bed.finish().await
}

fn nobody_was_told_about_monitors(bed: &Bed) -> Result<()> {
    for webhook in bed.receiver()?.webhooks()? {
        ensure!(webhook.body["data"]["subject"]["kind"] != "monitor", "{webhook:?}");
    }
    for email in bed.receiver()?.emails()? {
        ensure!(!email.subject().contains("checkout"), "{email:?}");
    }
    Ok(())
}
