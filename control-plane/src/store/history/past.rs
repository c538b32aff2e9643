//! All of it together.

use super::{Span, arrivals, discredits, marks, missed, places, revisions, tenures, undated};
use crate::store::{StoreError, Tx};
use hyperverge_control_core::backtest::Read;
use hyperverge_control_core::correlation::{Sight, Step, Thresholds};
use hyperverge_control_core::history::{History, Tenure};
use hyperverge_protocol::monitor::MonitorSpec;
use std::collections::BTreeSet;
use uuid::Uuid;

/// As old as an observation may be and still change a state, and a little, ms.
const RUN_UP_MS: i64 = 600_000;
/// But never more than this, ms.
const RUN_UP_MAX_MS: i64 = 2 * 86_400_000;

/// Batches of agents that are looked through for how far they were at a time, ms before it.
const MARKS_MS: i64 = 3_600_000;

/// How long before a time what is stored still decides how things stood at it:
/// streaks and freshness by this specification, ms.
pub fn run_up(spec: &MonitorSpec) -> i64 {
    let thresholds = Thresholds::of(spec);
    let interval = i64::try_from(spec.interval.as_millis()).unwrap_or(i64::MAX);
    let streaks = i64::from(thresholds.fail_after) + i64::from(thresholds.recover_after);
    thresholds
        .stale_after_ms
        .saturating_add(interval.saturating_mul(streaks))
        .saturating_add(RUN_UP_MS)
        .min(RUN_UP_MAX_MS)
}

/// How much of it is read.
#[derive(Debug, Clone, Copy)]
pub struct Depth {
    /// Results, and missed ranges, at most.
    pub results: usize,
    pub ranges: i64,
    /// Whether people will see what checks said.
    pub messages: bool,
}

/// What is stored of `span`.
pub async fn read(tx: &mut Tx, span: Span, depth: Depth) -> Result<(History, Read), StoreError> {
    let Span { organisation_id, monitor_id, from, until } = span;
    let mut found = arrivals(tx, span, depth.results, depth.messages).await?;
    let bursts = found.iter().filter(|arrival| is_of_burst(&arrival.step)).count();
    let mut read = Read {
        results: found.len() as u64,
        bursts: bursts as u64,
        missed_ranges: 0,
        undated: undated(tx, span).await?.unsigned_abs(),
        first_at: found.first().map(|arrival| arrival.received_at),
    };
    let missed = missed(tx, span, depth.ranges).await?;
    read.missed_ranges = missed.len() as u64;
    found.extend(missed);
    found.sort_by_key(|arrival| arrival.received_at);
    let tenures = tenures(tx, organisation_id, monitor_id, from, until).await?;
    let agents = agents_of(&tenures);
    let history = History {
        revisions: revisions(tx, organisation_id, monitor_id, until).await?,
        regions: places(tx, organisation_id).await?,
        tenures,
        arrivals: found,
        marks: Vec::new(),
        discredits: discredits(tx, organisation_id, agents, from, until).await?,
    };
    Ok((history, read))
}

/// What had arrived by `at` and still decided how things stood then, and from when on
/// it was read.
pub async fn moment(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    at: i64,
    depth: Depth,
) -> Result<(Span, History, Read), StoreError> {
    let known = revisions(tx, organisation_id, monitor_id, at).await?;
    let run_up = known.last().map_or(0, |revision| run_up(&revision.spec));
    let from = at.saturating_sub(run_up);
    let span = Span { organisation_id, monitor_id, from, until: at };
    let (mut history, found) = read(tx, span, depth).await?;
    let agents = agents_of(&history.tenures);
    let since = from.max(at.saturating_sub(MARKS_MS));
    history.marks = marks(tx, organisation_id, agents, since, at).await?;
    Ok((span, history, found))
}

/// Who was to look, each agent once.
fn agents_of(tenures: &[Tenure]) -> Vec<String> {
    let agents: BTreeSet<&String> = tenures.iter().map(|one| &one.agent_id).collect();
    agents.into_iter().cloned().collect()
}

fn is_of_burst(step: &Step) -> bool {
    matches!(step, Step::Sight(Sight { burst: Some(_), .. }))
}
