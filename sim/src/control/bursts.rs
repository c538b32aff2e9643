//! Confirmation bursts: who is asked, what is sent, what came back; as
//! `control-plane/src/store/bursts/` keeps them.

use super::database::{BurstRow, Database, OrderRow};
use super::note::{Note, Seen, Unasked};
use crate::world::cast::{AgentIndex, Cast, MonitorIndex, RegionIndex};
use hyperverge_agent_core::schedule::Burst;
use hyperverge_control_core::correlation::Evaluation;
use hyperverge_control_core::correlation::burst::{
    Decision, Input, Last, Recent, WINDOW_MS, ask as decide,
};
use hyperverge_protocol::limits::BURST_LIFE;
use hyperverge_protocol::outcome::Outcome;
use uuid::Uuid;

/// A failure that begins a streak.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    pub(super) region: RegionIndex,
    pub(super) agent: AgentIndex,
}

/// Decides whether a first failure asks every region, and writes down what is asked.
pub(super) fn ask(
    db: &mut Database,
    cast: &Cast,
    monitor: MonitorIndex,
    first: First,
    evaluation: Evaluation,
    notes: &mut Vec<Note>,
    now: i64,
) {
    let watched = &cast.monitors[monitor];
    let input = Input {
        confirm: watched.monitor.spec.policy.confirm,
        fail_after: watched.thresholds.fail_after,
        timeout_ms: watched.timeout,
        evaluation,
        discredited: db.discredited.get(&first.agent).is_some(),
        last: last(db, monitor, now),
        streak_began: i64::MAX,
        recent: recent(db, cast, monitor, first.agent, now),
    };
    let (failures, expires_at) = match decide(&input, now) {
        Decision::Ask { failures, expires_at } => (failures, expires_at),
        Decision::Keep(kept) => {
            let why = Unasked::Kept(kept);
            notes.push(Note::BurstKept { monitor, agent: first.agent, why });
            return;
        }
    };
    let asked = addressees(db, cast, monitor);
    let Some(current) = db.current.get(&(monitor, first.region)).filter(|_| !asked.is_empty())
    else {
        let why = Unasked::NobodyToAsk;
        notes.push(Note::BurstKept { monitor, agent: first.agent, why });
        return;
    };
    let revision = current.revision;
    let life = i64::try_from(BURST_LIFE.as_millis()).unwrap_or(i64::MAX);
    db.next_burst += 1;
    let id = db.next_burst;
    if let Some(before) = db.newest_burst.get(&monitor).copied() {
        settle(db, before);
    }
    let row = BurstRow {
        monitor,
        revision,
        origin: first.agent,
        failures,
        asked_at: now,
        expires_at: expires_at.min(now.saturating_add(life)),
        settled: false,
    };
    db.bursts.put(id, row);
    db.newest_burst.put(monitor, id);
    let count = asked.len();
    for (region, agent) in asked {
        let order = OrderRow { agent, signed: false, failures: 0, successes: 0, answered: false };
        db.orders.put((id, region), order);
    }
    notes.push(Note::BurstAsked { monitor, burst: id, origin: first.agent, asked: count });
}

/// The agents that watch a monitor now and were not lost, with their regions.
fn addressees(db: &Database, cast: &Cast, monitor: MonitorIndex) -> Vec<(RegionIndex, AgentIndex)> {
    let seats = cast.monitors[monitor].seats.iter();
    let held = seats.filter_map(|region| {
        let current = db.current.get(&(monitor, *region))?;
        Some((*region, current.agent))
    });
    held.filter(|(_, agent)| db.lost.get(agent).is_none()).collect()
}

fn last(db: &Database, monitor: MonitorIndex, now: i64) -> Option<Last> {
    let row = db.bursts.get(db.newest_burst.get(&monitor)?)?;
    Some(Last { asked_at: row.asked_at, active: !row.settled && row.expires_at > now })
}

fn recent(
    db: &Database,
    cast: &Cast,
    monitor: MonitorIndex,
    origin: AgentIndex,
    now: i64,
) -> Recent {
    let host = &cast.monitors[monitor].monitor.host;
    let mut recent = Recent::default();
    for (_, row) in db.bursts.iter().rev() {
        if row.asked_at <= now - WINDOW_MS {
            break;
        }
        recent.of_organisation += 1;
        recent.of_origin += u32::from(row.origin == origin);
        recent.of_host += u32::from(cast.monitors[row.monitor].monitor.host == *host);
    }
    recent
}

fn settle(db: &mut Database, burst: u64) {
    if let Some(row) = db.bursts.get(&burst).filter(|row| !row.settled).cloned() {
        db.bursts.put(burst, BurstRow { settled: true, ..row });
    }
}

/// The scheduler signs every order that waits for it.
pub(super) fn sign(db: &mut Database, notes: &mut Vec<Note>, now: i64) {
    let unsigned: Vec<((u64, RegionIndex), OrderRow)> = db
        .bursts
        .iter()
        .rev()
        .take_while(|(_, burst)| burst.asked_at > now - OLDEST_MS)
        .filter(|(_, burst)| holds(burst, now))
        .flat_map(|(id, _)| db.orders.range((*id, 0)..=(*id, usize::MAX)))
        .filter(|(_, order)| !order.signed)
        .map(|(key, order)| (*key, order.clone()))
        .collect();
    if !unsigned.is_empty() {
        notes.push(Note::OrdersSigned);
    }
    for (key, order) in unsigned {
        db.bursts.lock(&key.0);
        db.orders.put(key, OrderRow { signed: true, ..order });
    }
}

/// The signed orders that still hold and that `agent` has not answered.
pub(super) fn open_orders(
    db: &Database,
    cast: &Cast,
    agent: AgentIndex,
    now: i64,
) -> Vec<(u64, Burst)> {
    let region = cast.agents[agent].region;
    let recent = db.bursts.iter().rev().take_while(|(_, it)| it.asked_at > now - OLDEST_MS);
    let open = recent.filter(|(_, burst)| holds(burst, now)).filter_map(|(id, burst)| {
        let order = db.orders.get(&(*id, region))?;
        let waits = order.agent == agent && order.signed && !order.answered;
        waits.then(|| (*id, order_of(cast, *id, burst)))
    });
    let mut open: Vec<(u64, Burst)> = open.collect();
    open.reverse();
    open
}

/// No burst holds for longer, ms.
const OLDEST_MS: i64 = 600_000;

fn holds(burst: &BurstRow, now: i64) -> bool {
    !burst.settled && burst.expires_at > now
}

fn order_of(cast: &Cast, id: u64, burst: &BurstRow) -> Burst {
    Burst {
        id: Uuid::from_u128(u128::from(id)),
        monitor: cast.monitors[burst.monitor].id,
        revision: burst.revision.unsigned_abs(),
        failures: burst.failures,
        asked_ms: burst.asked_at,
        expires_ms: burst.expires_at,
    }
}

/// Whether a row may say that it answers this burst.
pub(super) fn is_asked(db: &Database, seen: &Seen) -> bool {
    let Some((id, index)) = seen.burst else { return true };
    let Ok(id) = u64::try_from(id) else { return false };
    let (Some(burst), Some(order)) = (db.bursts.get(&id), db.orders.get(&(id, seen.region))) else {
        return false;
    };
    order.agent == seen.agent
        && (burst.monitor, burst.revision) == (seen.monitor, seen.revision)
        && (1..=burst.failures).contains(&index)
        && seen.started_at >= burst.asked_at
}

/// Counts what answers a burst, and settles one that everybody answered.
pub(super) fn answer(db: &mut Database, seen: &Seen) {
    let Some(id) = seen.burst.and_then(|(id, _)| u64::try_from(id).ok()) else { return };
    let Some(burst) = db.bursts.lock(&id).cloned() else { return };
    let Some(mut order) = db.orders.get(&(id, seen.region)).cloned() else { return };
    match seen.outcome {
        Outcome::Ok | Outcome::Degraded => order.successes += 1,
        _ => order.failures += 1,
    }
    order.answered = order.successes > 0 || order.failures >= burst.failures;
    db.orders.put((id, seen.region), order);
    if db.orders.range((id, 0)..=(id, usize::MAX)).all(|(_, order)| order.answered) {
        settle(db, id);
    }
}
