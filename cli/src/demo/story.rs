//! The demo by itself: healthy, broken for one region, broken for all,
//! repaired. It tells what should happen, waits for it, shows what the API
//! says, and fails if it did not come true in time.

use super::inbox::Via;
use super::scene::Scene;
use super::screen::{heading, say};
use super::stage::REGIONS;
use super::target::Switch;
use crate::client::{Incident, RegionState};
use crate::wait::{Seen, until, until_answer};
use anyhow::{Result, ensure};
use std::time::Duration;

/// From the monitor's creation until every region has said that it is well:
/// agents connect, get their sets, probe.
const HEALTHY_WITHIN: Duration = Duration::from_secs(60);
/// From the switch to the incident: two failures at 2 s, with room for a slow machine.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// From the switch to the notice: the group wait (5 s) on top.
const TOLD_WITHIN: Duration = Duration::from_secs(45);
/// Results each region has to bring while nobody may be paged: at 2 s each,
/// longer than the group wait after which a page would go out.
const QUIET_RESULTS: usize = 5;
const CHANNELS: [Via; 2] = [Via::Webhook, Via::Email];

/// Plays the story.
pub(super) async fn play(scene: &Scene) -> Result<()> {
    healthy(scene).await?;
    let incident = broken_for_one(scene).await?;
    broken_for_all(scene, &incident).await?;
    repaired(scene, &incident).await?;
    heading("It all came true: one incident, one page when it mattered, one all-clear.");
    Ok(())
}

async fn healthy(scene: &Scene) -> Result<()> {
    heading("1  All is well");
    say("Three regions probe the target. The control plane waits until each has reported.");
    let up = |region: &RegionState| region.state == "up" && region.last_result_at.is_some();
    let ask = async || scene.regions().await;
    until_answer("every region is up", HEALTHY_WITHIN, ask, |regions| {
        let all = regions.items.len() == REGIONS.len() && regions.items.iter().all(up);
        Ok(if all && regions.verdict == "up" {
            Seen::Yes(())
        } else {
            Seen::NotYet(format!("{regions:?}"))
        })
    })
    .await?;
    Ok(scene.show().await?)
}

async fn broken_for_one(scene: &Scene) -> Result<String> {
    let region = REGIONS[0];
    heading(&format!("2  The target breaks for {region}, and only there"));
    say("One region out of three is no majority: a quiet incident of scope `local`, and no page.");
    scene.target.set(Switch::BrokenFor(region.to_owned()));
    let incident = incident(scene, "a local incident is open", |incident| {
        incident.state == "open" && incident.scope == "local"
    })
    .await?;
    scene.show().await?;
    say("Would it page, it would page now. The regions go on probing; nobody is told.");
    quiet_while_probing(scene).await?;
    let regions = scene.regions().await?;
    ensure!(
        regions.verdict == "up",
        "the verdict is {}, not up: two regions see it well",
        regions.verdict
    );
    Ok(incident.id)
}

async fn broken_for_all(scene: &Scene, incident_id: &str) -> Result<()> {
    heading("3  The target breaks for everybody");
    say(
        "The same incident widens to `global`, the verdict is `down`, and each channel gets one page.",
    );
    scene.target.set(Switch::BrokenForAll);
    let incident = incident(scene, "the incident is global and down", |incident| {
        incident.scope == "global" && incident.verdict == "down"
    })
    .await?;
    ensure!(incident.id == incident_id, "a second incident was opened: {incident:?}");
    told(scene, "each channel was paged once", &["opened"]).await?;
    Ok(scene.show().await?)
}

async fn repaired(scene: &Scene, incident_id: &str) -> Result<()> {
    heading("4  The target is repaired");
    say("The incident resolves by itself, and each channel gets one notice of it.");
    scene.target.set(Switch::Good);
    let incident =
        incident(scene, "the incident is resolved", |incident| incident.state == "resolved")
            .await?;
    ensure!(incident.id == incident_id, "another incident was resolved: {incident:?}");
    told(scene, "each channel was told once that it is over", &["opened", "resolved"]).await?;
    ensure!(scene.incidents().await?.len() == 1, "there is more than one incident");
    Ok(scene.show().await?)
}

/// The monitor's newest incident, once it is as wanted.
async fn incident(
    scene: &Scene,
    what: &str,
    wanted: impl Fn(&Incident) -> bool,
) -> Result<Incident> {
    let ask = async || scene.incidents().await;
    until_answer(what, SEEN_WITHIN, ask, |incidents| {
        Ok(match incidents.first() {
            Some(incident) if wanted(incident) => Seen::Yes(incident.clone()),
            Some(incident) => Seen::NotYet(format!("{incident:?}")),
            None => Seen::NotYet("no incident".to_owned()),
        })
    })
    .await
}

/// Lets every region report some more results, during which nobody may be told anything.
async fn quiet_while_probing(scene: &Scene) -> Result<()> {
    let mut newest = vec![None; REGIONS.len()];
    let mut results = vec![0; REGIONS.len()];
    let ask = async || scene.regions().await;
    until_answer("every region goes on reporting", SEEN_WITHIN, ask, |regions| {
        for via in CHANNELS {
            let kinds = scene.inbox.kinds(via);
            ensure!(kinds.is_empty(), "somebody was paged for one region alone: {kinds:?}");
        }
        for (index, region) in regions.items.into_iter().take(REGIONS.len()).enumerate() {
            if region.last_result_at != newest[index] {
                newest[index] = region.last_result_at;
                results[index] += 1;
            }
        }
        let enough = results.iter().all(|count| *count > QUIET_RESULTS);
        Ok(if enough { Seen::Yes(()) } else { Seen::NotYet(format!("results: {results:?}")) })
    })
    .await
}

/// Waits until each channel was told exactly `kinds`, in this order.
async fn told(scene: &Scene, what: &str, kinds: &[&str]) -> Result<()> {
    until(what, TOLD_WITHIN, async || {
        let told: Vec<_> = CHANNELS.iter().map(|via| scene.inbox.kinds(*via)).collect();
        let so_far = |channel: &Vec<String>| {
            channel.len() <= kinds.len()
                && channel.iter().zip(kinds).all(|(told, kind)| told == kind)
        };
        ensure!(
            told.iter().all(so_far),
            "expected {kinds:?} on each channel, but was told {told:?}"
        );
        let all = told.iter().all(|channel| channel.len() == kinds.len());
        Ok(if all { Seen::Yes(()) } else { Seen::NotYet(format!("told so far: {told:?}")) })
    })
    .await
}
