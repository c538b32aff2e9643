//! The main job: an outage is seen from three regions, judged, told, and its
//! end too; each once per channel, signed so that others can verify it.

use anyhow::{Context, Result, ensure};
use hyperverge_cli::demo::target::Switch;
use hyperverge_e2e::receiver::{Email, Webhook};
use hyperverge_e2e::{Bed, RECIPIENT, Setup, WEBHOOK_CHANNEL};
use serde_json::json;
use std::time::Duration;

const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
const WITHIN: Duration = Duration::from_secs(60);
/// Longer than the group wait of 5 s after which a page goes out.
const QUIET: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_seen_judged_and_told_once() -> Result<()> {
    let bed = Bed::raise(Setup { regions: REGIONS.to_vec(), ..Setup::default() }).await?;
    bed.make_channels().await?;
    let monitor = bed.make_monitor("checkout", "2s", json!({ "regions": REGIONS })).await?;
    bed.until_up(&monitor, REGIONS.len(), WITHIN).await?;

    bed.target.set(Switch::BrokenFor(REGIONS[0].to_owned()));
    let local = bed
        .until_incident(&monitor, "a local incident", WITHIN, |incident| incident.state == "open")
        .await?;
    ensure!(local.scope == "local", "one region of three is local: {local:?}");
    bed.until_reported_for(&monitor, &REGIONS, QUIET, WITHIN).await?;
    ensure!(bed.receiver()?.arrivals()?.is_empty(), "somebody was told of one region alone");
    ensure!(bed.client.monitor_regions(&monitor).await?.verdict == "up", "two of three see it up");

    bed.target.set(Switch::BrokenForAll);
    let global = bed
        .until_incident(&monitor, "it is global", WITHIN, |incident| incident.scope == "global")
        .await?;
    ensure!(global.id == local.id, "it widened into another incident: {global:?}");
    ensure!(global.verdict == "down" && global.cause.as_deref() == Some("status"), "{global:?}");
    bed.until_told(&local.id, &["opened"], WITHIN).await?;

    bed.target.set(Switch::Good);
    let resolved = bed
        .until_incident(&monitor, "it is resolved", WITHIN, |incident| incident.state == "resolved")
        .await?;
    ensure!(resolved.id == local.id && resolved.resolved_at.is_some(), "{resolved:?}");
    bed.until_told(&local.id, &["opened", "resolved"], WITHIN).await?;
    bed.until_up(&monitor, REGIONS.len(), WITHIN).await?;

    // Whatever else would have been told had as long as the quiet part to arrive.
    bed.until_reported_for(&monitor, &REGIONS, QUIET, WITHIN).await?;
    let (webhooks, emails) = (bed.receiver()?.webhooks()?, bed.receiver()?.emails()?);
    ensure!(webhooks.len() == 2 && emails.len() == 2, "{webhooks:?}\n{emails:?}");
    ensure!(bed.incidents_of(&monitor).await?.len() == 1, "one trouble, one incident");
    for webhook in &webhooks {
        webhook_is_sane(webhook, &local.id)?;
    }
    ensure!(webhooks[0].headers["webhook-id"] != webhooks[1].headers["webhook-id"], "one id each");
    for email in &emails {
        email_is_sane(email, &bed.target.url(), &local.id)?;
    }
    bed.finish().await
}

fn webhook_is_sane(webhook: &Webhook, incident: &str) -> Result<()> {
    let data = &webhook.body["data"];
    ensure!(webhook.channel == WEBHOOK_CHANNEL && data["incident_id"] == incident, "{webhook:?}");
    ensure!(
        data["subject"]["kind"] == "monitor" && data["subject"]["name"] == "checkout",
        "{data}"
    );
    ensure!(data["severity"] == "critical" && data["verdict"] == "down", "{data}");
    let regions = data["regions"].as_array().context("no regions")?;
    ensure!(regions.len() == REGIONS.len(), "{data}");
    Ok(())
}

fn email_is_sane(email: &Email, target: &str, incident: &str) -> Result<()> {
    ensure!(email.defects.is_empty(), "Python finds defects: {email:?}");
    ensure!(email.envelope_to == [RECIPIENT], "{email:?}");
    ensure!(email.headers.get("to").is_some_and(|to| to.contains(RECIPIENT)), "{email:?}");
    for header in ["from", "date", "message-id", "subject"] {
        ensure!(email.headers.contains_key(header), "no {header}: {email:?}");
    }
    ensure!(email.subject().contains("checkout"), "{}", email.subject());
    ensure!(email.text.contains(target), "it does not say what is watched: {}", email.text);
    ensure!(email.text.contains(incident), "it does not link the incident: {}", email.text);
    for region in REGIONS {
        ensure!(email.text.contains(region), "nothing of {region}: {}", email.text);
    }
    Ok(())
}
