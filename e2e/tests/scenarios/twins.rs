//! Two control planes on one PostgreSQL, each with agents of its own, while many
//! monitors of one cause fail at once, again and again: every outage is one incident
//! for each monitor, one group and one page, and one notice of its end.
//!
//! `HYPERVERGE_TEST_RUNS` says how often; `make campaign NAME=twins` asks for 200.

use anyhow::{Context, Result, ensure};
use hyperverge_cli::client::Page;
use hyperverge_cli::demo::target::Switch;
use hyperverge_cli::wait::{Seen, until, until_answer};
use hyperverge_e2e::{Bed, Layout, Setup, say};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
const MONITORS: usize = 24;
const RUNS: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);
/// How many of the newest are looked at: more than one outage makes.
const LISTED: usize = 100;

/// What of an incident says to which outage it belongs.
#[derive(Debug, Clone, Deserialize)]
struct Incident {
    id: String,
    state: String,
    verdict: String,
    subject: Subject,
    group: Option<GroupOf>,
}

#[derive(Debug, Clone, Deserialize)]
struct Subject {
    kind: String,
    id: String,
}

#[derive(Debug, Clone, Deserialize)]
struct GroupOf {
    id: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Group {
    id: String,
    state: String,
    lead: String,
    paged: bool,
    member_count: usize,
}

/// What had come into being when an outage began.
#[derive(Debug, Default)]
struct Before {
    incidents: BTreeSet<String>,
    groups: BTreeSet<String>,
    webhooks: usize,
    emails: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_control_planes_see_at_once_is_told_once() -> Result<()> {
    let runs = match std::env::var("HYPERVERGE_TEST_RUNS") {
        Ok(text) => text.parse()?,
        Err(_) => RUNS,
    };
    let setup = Setup {
        regions: REGIONS.to_vec(),
        layout: Layout::Twins,
        control_plane_env: vec![("HYPERVERGE_CORRELATOR__GROUP_WAIT", "2s")],
    };
    let bed = Bed::raise(setup).await?;
    bed.make_channels().await?;
    let mut monitors = Vec::new();
    for number in 0..MONITORS {
        // Without this, the third outage would be held as a flapping target.
        let policy = json!({ "flap": { "changes": 0, "within": "30m", "settle": "10m" } });
        let more = json!({ "regions": REGIONS, "policy": policy });
        monitors.push(bed.make_monitor(&format!("shop-{number:02}"), "1s", more).await?);
    }
    for monitor in &monitors {
        bed.until_up(monitor, REGIONS.len(), WITHIN).await?;
    }
    let mut before = Before::default();
    for run in 1..=runs {
        before = outage(&bed, &monitors, &before).await.with_context(|| format!("run {run}"))?;
    }
    both_worked(&bed).await?;
    say(&format!("{runs} outages of {MONITORS} monitors: one group and one page each"));
    bed.finish().await
}

async fn outage(bed: &Bed, monitors: &[String], before: &Before) -> Result<Before> {
    bed.target.set(Switch::BrokenForAll);
    until_each(bed, monitors, before, "down and in a group", |incident| {
        incident.verdict == "down" && incident.group.is_some()
    })
    .await?;
    until_told(bed, before, &["opened"]).await?;
    bed.target.set(Switch::Good);
    let found =
        until_each(bed, monitors, before, "over", |incident| incident.state == "resolved").await?;
    let lead = until_told(bed, before, &["opened", "resolved"]).await?;
    let group = the_group(bed, before).await?;
    ensure!(group.lead == lead && group.paged, "told about {lead}, of {group:?}");
    for incident in &found {
        let of = incident.group.as_ref().map(|group| group.id.as_str());
        ensure!(of == Some(group.id.as_str()), "{incident:?} is not of {group:?}");
    }
    let mut after = Before {
        incidents: found.into_iter().map(|incident| incident.id).collect(),
        groups: BTreeSet::from([group.id]),
        webhooks: bed.receiver()?.webhooks()?.len(),
        emails: bed.receiver()?.emails()?.len(),
    };
    after.incidents.extend(before.incidents.iter().cloned());
    after.groups.extend(before.groups.iter().cloned());
    Ok(after)
}

/// Waits until each monitor has an incident of this outage that is as wanted. A
/// second one is an error at once.
async fn until_each(
    bed: &Bed,
    monitors: &[String],
    before: &Before,
    what: &str,
    wanted: impl Fn(&Incident) -> bool,
) -> Result<Vec<Incident>> {
    let path = format!("incidents?limit={LISTED}");
    let ask = async || bed.client.get::<Page<Incident>>(&path).await;
    until_answer(&format!("every monitor's incident is {what}"), WITHIN, ask, |page| {
        let mut of: BTreeMap<String, Incident> = BTreeMap::new();
        for incident in page.items {
            if incident.subject.kind != "monitor" || before.incidents.contains(&incident.id) {
                continue;
            }
            if let Some(other) = of.insert(incident.subject.id.clone(), incident.clone()) {
                anyhow::bail!("one outage, two incidents: {other:?}, {incident:?}");
            }
        }
        let so_far = of.values().filter(|incident| wanted(incident)).count();
        let all = so_far == monitors.len() && monitors.iter().all(|id| of.contains_key(id));
        Ok(if all {
            Seen::Yes(of.into_values().collect())
        } else {
            Seen::NotYet(format!("{so_far} of {}", of.len()))
        })
    })
    .await
}

/// Waits until each channel was told `kinds` since, and of one incident; answers which.
async fn until_told(bed: &Bed, before: &Before, kinds: &[&str]) -> Result<String> {
    until(&format!("each channel was told {kinds:?}"), WITHIN, async || {
        let webhooks = bed.receiver()?.webhooks()?.split_off(before.webhooks);
        let emails = bed.receiver()?.emails()?.split_off(before.emails);
        let hooks: Vec<&str> = webhooks.iter().map(|webhook| webhook.kind()).collect();
        let mails: Vec<&str> = emails.iter().map(|email| email.kind()).collect();
        for told in [&hooks, &mails] {
            let fits = told.iter().zip(kinds).all(|(told, kind)| told == kind);
            ensure!(fits && told.len() <= kinds.len(), "wanted {kinds:?}, but was told {told:?}");
        }
        let leads: BTreeSet<&str> = webhooks.iter().map(|webhook| webhook.incident()).collect();
        ensure!(leads.len() <= 1, "one outage was told through {leads:?}");
        let all = hooks.len() == kinds.len() && mails.len() == kinds.len();
        Ok(match leads.first().filter(|_| all) {
            Some(lead) => Seen::Yes((*lead).to_owned()),
            None => Seen::NotYet(format!("{hooks:?}, {mails:?}")),
        })
    })
    .await
}

/// The one group of this outage, closed, with every monitor in it.
async fn the_group(bed: &Bed, before: &Before) -> Result<Group> {
    let path = format!("groups?limit={LISTED}");
    let ask = async || bed.client.get::<Page<Group>>(&path).await;
    until_answer("one group is over", WITHIN, ask, |page| {
        let mut new: Vec<Group> =
            page.items.into_iter().filter(|group| !before.groups.contains(&group.id)).collect();
        ensure!(new.len() <= 1, "one outage, {} groups: {new:?}", new.len());
        let whole = |group: &Group| group.state == "resolved" && group.member_count == MONITORS;
        Ok(match new.pop() {
            Some(group) if whole(&group) => Seen::Yes(group),
            other => Seen::NotYet(format!("{other:?}")),
        })
    })
    .await
}

/// Whether each control plane took results: else nobody raced.
async fn both_worked(bed: &Bed) -> Result<()> {
    for plane in bed.gateways.iter().chain([&bed.control_plane]) {
        let text = reqwest::get(format!("{}/metrics", plane.url())).await?.text().await?;
        let results = text.lines().filter(|line| line.starts_with("monitor_checks_executed_total"));
        let count: f64 =
            results.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        ensure!(count > 0.0, "{} took no results", plane.url());
    }
    Ok(())
}
