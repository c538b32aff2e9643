//! `kill -9`, at random, 50 times: of the control plane and of agents, while the
//! target breaks and recovers. Afterwards everything that was acknowledged is
//! stored once, and every page was delivered.
//!
//! The seed is printed, and `HYPERVERGE_TEST_SEED` sets it, so that a run can be
//! repeated as far as processes can be.

use crate::account;
use anyhow::{Result, ensure};
use hyperverge_cli::demo::target::Switch;
use hyperverge_cli::wait::{Seen, until};
use hyperverge_e2e::database::{Database, IncidentRow};
use hyperverge_e2e::receiver::{Email, Webhook};
use hyperverge_e2e::{Bed, Setup, say};
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng, TryRng};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
const MONITORS: [&str; 3] = ["checkout", "search", "login"];
const KILLS: u32 = 50;
/// One kill in so many hits the control plane.
const CONTROL_PLANE_SHARE: u32 = 4;
/// After a kill the fleet runs for this long, in ms, before the next.
const PAUSE_MS: std::ops::Range<u64> = 100..4_000;
/// Receivers take this long to answer, so that kills strike between a notice's arrival and
/// our knowing of it.
const SLOW_ANSWER: Duration = Duration::from_millis(700);
const WITHIN: Duration = Duration::from_secs(60);
const GO_ON: Duration = Duration::from_secs(3);
/// Until spools are empty, incidents are resolved and notices are out.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn after_fifty_kills_nothing_acknowledged_is_missing_and_every_page_is_out() -> Result<()> {
    let seed = seed()?;
    let mut rng = StdRng::seed_from_u64(seed);
    let setup = Setup {
        regions: REGIONS.to_vec(),
        control_plane_env: vec![
            ("HYPERVERGE_LIVENESS__GRACE", "5s"),
            ("HYPERVERGE_CORRELATOR__GROUP_WAIT", "1s"),
        ],
        ..Setup::default()
    };
    let mut bed = Bed::raise(setup).await?;
    bed.make_channels().await?;
    bed.receiver()?.set_delay(SLOW_ANSWER)?;
    let mut monitors = Vec::new();
    // Three troubles within two minutes would be called flapping and held together.
    let policy = json!({ "flap": { "changes": 0 } });
    for name in MONITORS {
        let more = json!({ "regions": REGIONS, "policy": policy });
        monitors.push(bed.make_monitor(name, "1s", more).await?);
    }
    for monitor in &monitors {
        bed.until_up(monitor, REGIONS.len(), WITHIN).await?;
    }
    let database = Database::open(&bed.control_plane.database()).await?;

    for kill in 0..KILLS {
        throw_switch(&bed, kill);
        kill_one(&mut bed, &mut rng).await?;
        // When to strike is the experiment, not a wait for something.
        tokio::time::sleep(Duration::from_millis(rng.random_range(PAUSE_MS))).await;
    }

    bed.target.set(Switch::Good);
    for monitor in &monitors {
        bed.until_up(monitor, REGIONS.len(), SETTLED_WITHIN).await?;
    }
    until_notices_are_out(&database).await?;
    bed.until_reported_for(&monitors[0], &REGIONS, GO_ON, WITHIN).await?;
    account::until_no_gaps(&database, REGIONS.len() * MONITORS.len(), SETTLED_WITHIN).await?;
    let checked = account::every_acknowledged_result_is_stored_once(&bed, &database).await?;
    account::counters_agree_with_batches(&database).await?;
    let pages = every_page_arrived(&bed, &database).await?;
    say(&format!("seed {seed}: {KILLS} kills, {checked} results acknowledged, {pages} pages"));
    drop(database);
    bed.finish().await
}

fn seed() -> Result<u64> {
    let seed = match std::env::var("HYPERVERGE_TEST_SEED") {
        Ok(text) => text.parse()?,
        Err(_) => SysRng.try_next_u64()?,
    };
    say(&format!("seed {seed}"));
    Ok(seed)
}

/// Two outages for all, with one for a single region between them.
fn throw_switch(bed: &Bed, kill: u32) {
    bed.target.set(match kill {
        8..16 | 34..42 => Switch::BrokenForAll,
        22..28 => Switch::BrokenFor(REGIONS[0].to_owned()),
        _ => Switch::Good,
    });
}

/// Kills one program, and starts it again as its service manager would.
async fn kill_one(bed: &mut Bed, rng: &mut StdRng) -> Result<()> {
    if rng.random_ratio(1, CONTROL_PLANE_SHARE) {
        bed.control_plane.kill().await?;
        return bed.control_plane.start().await;
    }
    let agent = rng.random_range(0..bed.agents.len());
    bed.agents[agent].kill().await?;
    bed.agents[agent].start()
}

/// Waits until no incident is open and nothing is left to be told.
async fn until_notices_are_out(database: &Database) -> Result<()> {
    until("every notice is out", SETTLED_WITHIN, async || {
        let open: Vec<_> =
            database.incidents().await?.into_iter().filter(|incident| !incident.resolved).collect();
        let intents = database.unsettled_intents().await?;
        let deliveries = database.deliveries().await?;
        let pending: Vec<_> =
            deliveries.into_iter().filter(|delivery| delivery.state == "pending").collect();
        Ok(if open.is_empty() && intents == 0 && pending.is_empty() {
            Seen::Yes(())
        } else {
            Seen::NotYet(format!("open {open:?}, {intents} intents, pending {pending:?}"))
        })
    })
    .await
}

/// Every incident that paged was told on both channels: its opening, or an end that
/// includes it, and its end. Answers how many there were.
async fn every_page_arrived(bed: &Bed, database: &Database) -> Result<usize> {
    let deliveries = database.deliveries().await?;
    let dead: Vec<_> = deliveries.iter().filter(|delivery| delivery.state == "dead").collect();
    ensure!(dead.is_empty(), "dead letters: {dead:?}");
    let incidents = database.incidents().await?;
    let about_monitors =
        |incident: &&IncidentRow| incident.subject_kind == "monitor" && incident.paged;
    let paged: Vec<_> = incidents.iter().filter(about_monitors).collect();
    // Each monitor was down for eight kills in a row, twice; whether that is one incident or
    // two depends on who was killed in between.
    ensure!(paged.len() >= MONITORS.len(), "the outages paged nobody: {incidents:?}");
    let (webhooks, emails) = (bed.receiver()?.webhooks()?, bed.receiver()?.emails()?);
    repeats_keep_their_id(&webhooks, &emails)?;
    for incident in &paged {
        was_told(bed, incident, &webhooks)?;
    }
    let repeated = webhooks.len() + emails.len() - deliveries.len();
    say(&format!("{} notices, {repeated} of them sent again after a kill", deliveries.len()));
    Ok(paged.len())
}

/// Ensures that people heard on both channels that `incident` began and ended: by itself, or
/// else through the incident that speaks for its group.
fn was_told(bed: &Bed, incident: &IncidentRow, webhooks: &[Webhook]) -> Result<()> {
    let alone = bed.told(&incident.id.to_string())?.iter().any(|told| !told.is_empty());
    let speaker = incident.lead.filter(|_| !alone).unwrap_or(incident.id).to_string();
    let included = webhooks.iter().any(|webhook| {
        webhook.incident() == speaker && webhook.body["data"]["opening_included"] == true
    });
    for told in bed.told(&speaker)? {
        let (id, first) = (incident.id, told.first().map(String::as_str));
        ensure!(included || first == Some("opened"), "{id} was never told, or late: {told:?}");
        let last = told.last().map(String::as_str);
        ensure!(last == Some("resolved"), "{id} was never told to be over: {told:?}");
    }
    Ok(())
}

/// A notice that a crash had sent again has the same id, so that a receiver can tell.
fn repeats_keep_their_id(webhooks: &[Webhook], emails: &[Email]) -> Result<()> {
    let mut ids = BTreeMap::new();
    for webhook in webhooks {
        let event = (webhook.incident(), webhook.body["data"]["event_number"].as_i64());
        let id = &webhook.headers["webhook-id"];
        let first = *ids.entry(event).or_insert(id);
        ensure!(first == id, "{event:?} was told as {first} and as {id}");
    }
    let mut ids = BTreeMap::new();
    for email in emails {
        let id = &email.headers["message-id"];
        let first = *ids.entry(&email.text).or_insert(id);
        ensure!(first == id, "{} was told as {first} and as {id}", email.subject());
    }
    Ok(())
}
