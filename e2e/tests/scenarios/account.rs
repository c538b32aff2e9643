//! Audits of what is stored against what was promised.

use anyhow::{Context, Result, ensure};
use hyperverge_cli::wait::{Seen, until};
use hyperverge_e2e::Bed;
use hyperverge_e2e::agent_log::acknowledged;
use hyperverge_e2e::database::{Database, Series};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Holds each agent to its word: what it says was acknowledged is stored, once.
/// Answers how many slots that were.
pub(crate) async fn every_acknowledged_result_is_stored_once(
    bed: &Bed,
    database: &Database,
) -> Result<usize> {
    let stored = database.slots().await?;
    let mut checked = 0;
    for agent in &bed.agents {
        let mut claimed = BTreeSet::new();
        for batch in acknowledged(&agent.log())? {
            ensure!(batch.refused == 0, "{} had rows refused: {batch:?}", agent.region());
            claimed.extend(batch.slots);
        }
        ensure!(!claimed.is_empty(), "{} was acknowledged nothing", agent.region());
        checked += claimed.len();
        for slot in claimed {
            let series = Series {
                monitor: slot.monitor,
                region: agent.region().to_owned(),
                revision: slot.revision,
            };
            let copies = stored.get(&series).and_then(|slots| slots.get(&slot.slot));
            ensure!(
                copies == Some(&1),
                "acknowledged but stored {copies:?} times: {slot:?} of {series:?}"
            );
        }
    }
    Ok(checked)
}

/// The next number of each lane is the one after the highest batch stored, with no number
/// left out, and no agent was ever acknowledged a number past it.
pub(crate) async fn counters_agree_with_batches(database: &Database) -> Result<()> {
    let lanes = database.lanes().await?;
    ensure!(!lanes.is_empty(), "no agent ever sent a batch");
    for lane in lanes {
        let (Some(lowest), Some(highest)) = (lane.lowest, lane.highest) else { continue };
        ensure!(lane.next_number == highest + 1, "the counter is off: {lane:?}");
        ensure!(lane.batches == highest - lowest + 1, "a number was left out: {lane:?}");
    }
    Ok(())
}

/// Waits until, in each of `series` series, every slot from the first to the last
/// stored one is either a result or reported as missed.
pub(crate) async fn until_no_gaps(
    database: &Database,
    series: usize,
    within: Duration,
) -> Result<()> {
    until("no slot is unaccounted for", within, async || {
        let mut known: BTreeMap<Series, BTreeSet<i64>> = BTreeMap::new();
        let stored = database.slots().await?;
        for (name, slots) in &stored {
            known.entry(name.clone()).or_default().extend(slots.keys());
        }
        for (name, first, last, _) in database.missed().await? {
            known.entry(name).or_default().extend(first..=last);
        }
        if known.len() != series {
            return Ok(Seen::NotYet(format!("{} series", known.len())));
        }
        for (name, slots) in &known {
            let (first, last) = (slots.first(), slots.last());
            let (first, last) = first.zip(last).context("a series without slots")?;
            let gaps: Vec<_> = (*first..=*last).filter(|slot| !slots.contains(slot)).collect();
            if !gaps.is_empty() {
                return Ok(Seen::NotYet(format!("{name:?} lacks {gaps:?}")));
            }
        }
        Ok(Seen::Yes(()))
    })
    .await
}
