//! What one region tells about one monitor now.

use super::{RegionState, StateRow, casts_no_vote};
use crate::assignment::Slots;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Why the vote of a region does not count whose agent is itself at fault.
pub const DISCREDITED: &str = "discredited";

/// One region's seat, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    pub region: String,
    /// `None`: no region of this name has had an agent.
    pub region_id: Option<Uuid>,
    /// The current assignment, if somebody has it.
    pub held: Option<Held>,
    pub row: Option<StateRow>,
}

/// Who has it, and how far that agent has reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub revision: i64,
    pub first_slot: i64,
    pub slots: Slots,
    pub predecessor_through: Option<i64>,
    /// All the agent's slots up to here are known.
    pub complete_through: Option<i64>,
    /// It fails what others see healthy (`vantage`): what it sees says nothing.
    #[serde(default)]
    pub discredited: bool,
}

/// What a region tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionView {
    pub region: String,
    pub region_id: Option<Uuid>,
    pub state: RegionState,
    /// Since when, as far as is known.
    pub since: Option<i64>,
    /// Why it is not up: a word of `protocol::outcome::Reason`, or of ours
    /// (`unassigned`, `pending`, `silent`, `missed`, `discredited`).
    pub reason: Option<String>,
    pub message: Option<String>,
}

/// The seats of a monitor: a fixed number, whoever is there to vote. `known` are
/// the regions that have had an agent and were not retired.
pub fn seat_names<'a>(
    named: impl Iterator<Item = &'a str>,
    known: impl Iterator<Item = &'a str>,
) -> BTreeSet<String> {
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    if named.contains("*") { known.map(str::to_owned).collect() } else { named }
}

/// What `seat` tells at `now`.
pub fn view(seat: &Seat, stale_after_ms: i64, now: i64) -> RegionView {
    let tells = |state, since, reason: Option<&str>| RegionView {
        region: seat.region.clone(),
        region_id: seat.region_id,
        state,
        since,
        reason: reason.map(str::to_owned),
        message: None,
    };
    let unknown = |reason, since| tells(RegionState::Unknown, since, Some(reason));
    let Some(held) = &seat.held else { return unknown("unassigned", None) };
    if held.discredited {
        return unknown(DISCREDITED, None);
    }
    let begun = held.slots.due(held.first_slot);
    let own = held.complete_through.filter(|through| *through >= begun);
    let Some(through) = own.or(held.predecessor_through) else { return unknown("pending", None) };
    if !is_fresh(through, stale_after_ms, now) {
        return unknown("silent", Some(through.saturating_add(stale_after_ms).min(now)));
    }
    let Some(row) = seat.row.as_ref().filter(|row| row.revision == held.revision) else {
        return tells(RegionState::Up, None, None);
    };
    let reason = row.reason.as_deref();
    match (row.state, row.observed_at) {
        (RegionState::Unknown, _) | (_, None) => RegionView {
            message: row.message.clone(),
            ..unknown(reason.unwrap_or("pending"), row.since)
        },
        (_, Some(at)) if !is_fresh(at, stale_after_ms, now) => {
            unknown("missed", Some(at.saturating_add(stale_after_ms).min(now)))
        }
        (RegionState::Up, _) => tells(RegionState::Up, row.since, None),
        // What casts no vote says nothing about why it came to this state either.
        (state, _) if reason.is_some_and(casts_no_vote) => tells(state, row.since, None),
        (state, _) => {
            RegionView { message: row.message.clone(), ..tells(state, row.since, reason) }
        }
    }
}

/// Whether what was known at `at` says something about `now`. What is as far in the future
/// as the past may be was dated before the clock was set back: until it is that late again,
/// nobody knows.
fn is_fresh(at: i64, stale_after_ms: i64, now: i64) -> bool {
    (now - at).abs() <= stale_after_ms
}

/// How far an agent that hands over no backlog may be behind, ms: it seals every ten seconds
/// at least, and a slot that waits may hold it back for twenty.
const BEHIND_MS: i64 = 35_000;

/// What an agent last saw, as [`looked`] tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// When the failures began whose newest it is; `None`: it is well.
    pub failing_since: Option<i64>,
    /// The earliest look from which on nothing but successes is known; `None`: it fails.
    pub well_since: Option<i64>,
    pub at: i64,
}

/// What the seat's agent itself last saw, whether its vote counts or not. `None` where it saw
/// nothing lately that says something about the target. What nobody stores, steady success, it
/// last saw in its newest slot, and in the one before too: a row outlives the first success
/// after a state.
pub fn looked(seat: &Seat, stale_after_ms: i64, now: i64) -> Option<Looked> {
    let held = seat.held.as_ref()?;
    let begun = held.slots.due(held.first_slot);
    let through = held.complete_through.filter(|through| *through >= begun)?;
    let Some(row) = seat.row.as_ref().filter(|row| row.revision == held.revision) else {
        let newest = held.slots.due(held.slots.first_after(through) - 1);
        // Who is so far behind hands over a backlog. What is new may have come before what is
        // old then, and no row says nothing about the slots between.
        if now - through > BEHIND_MS {
            return None;
        }
        let before = newest.saturating_sub(held.slots.interval_ms).max(begun);
        let well = Looked { failing_since: None, well_since: Some(before), at: newest };
        return is_fresh(through, stale_after_ms, now).then_some(well);
    };
    let at = row.observed_at.filter(|at| is_fresh(*at, stale_after_ms, now))?;
    let fails = row.failures > 0;
    let ours = row.reason.as_deref().is_some_and(casts_no_vote);
    let began = match row.state {
        RegionState::Up | RegionState::Degraded if !fails => row.since.max(row.broken_at),
        _ => row.streak_began,
    };
    let since = began.map_or(at, |began| began.min(at));
    let (failing_since, well_since) = if fails { (Some(since), None) } else { (None, Some(since)) };
    (!(fails && ours)).then_some(Looked { failing_since, well_since, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_500;

    fn seat(row: Option<(u32, &str, i64)>) -> Seat {
        Seat {
            region: "eu-west".to_owned(),
            region_id: None,
            held: Some(Held {
                revision: 1,
                first_slot: 0,
                slots: Slots { anchor_ms: 0, interval_ms: 1_000 },
                predecessor_through: None,
                complete_through: Some(NOW - 700),
                discredited: true,
            }),
            row: row.map(|(failures, reason, at)| StateRow {
                revision: 1,
                state: RegionState::Up,
                since: None,
                failures,
                successes: 0,
                streak_began: None,
                newest_slot: 1,
                newest_at: None,
                broken_at: None,
                burst: None,
                observed_at: Some(at),
                reason: Some(reason.to_owned()),
                message: None,
            }),
        }
    }

    fn row_of(seat: &mut Seat) -> &mut StateRow {
        seat.row.as_mut().expect("set")
    }

    #[test]
    fn an_agent_looks_whether_its_vote_counts_or_not() {
        let well = Looked { failing_since: None, well_since: Some(998_000), at: 999_000 };
        assert_eq!(looked(&seat(None), 5_000, NOW), Some(well));
        let fails = seat(Some((1, "connect_refused", NOW - 10)));
        let (at, since) = (NOW - 10, Some(NOW - 10));
        let failing = Looked { failing_since: since, well_since: None, at };
        assert_eq!(looked(&fails, 5_000, NOW), Some(failing));
        // The first success after an outage is not older than itself.
        let mut back = seat(Some((0, "", at)));
        let row = row_of(&mut back);
        (row.state, row.successes, row.streak_began) = (RegionState::Down, 1, since);
        let well = Looked { failing_since: None, well_since: since, at };
        assert_eq!(looked(&back, 5_000, NOW), Some(well));
        let row = row_of(&mut back);
        (row.state, row.since) = (RegionState::Up, Some(NOW - 700));
        let well = Looked { well_since: Some(NOW - 700), ..well };
        assert_eq!(looked(&back, 5_000, NOW), Some(well));
        let ours = seat(Some((3, "policy_address", NOW - 10)));
        assert_eq!(looked(&ours, 5_000, NOW), None, "it says nothing about the target");
        let old = seat(Some((3, "connect_refused", NOW - 5_001)));
        assert_eq!(looked(&old, 5_000, NOW), None);
        assert_eq!(looked(&seat(None), 600, NOW), None, "it fell silent");
        let later = NOW + BEHIND_MS;
        assert_eq!(looked(&seat(None), 90_000, later), None, "it hands over a backlog");
    }
}
