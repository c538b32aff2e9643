//! Steps 5 and 6 for what a group of batches brought.
//!
//! Steady success is one question: which of these monitors are not steady. Only
//! those are locked (in the order of their ids), counted and evaluated.

use super::Source;
use super::confirm::{self, Began, Confirmed};
use crate::store::bursts::{self, Answer};
use crate::store::states::{self, Watched};
use crate::store::{StoreError, Tx, results};
use crate::verdicts::{self, Turned};
use hyperverge_control_core::correlation::{
    Newest, Sight, StateRow, Step, Thresholds, Track, burst, casts_no_vote,
};
use hyperverge_protocol::outcome::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A region of an organisation.
type Place = (Uuid, Uuid);
/// A monitor at a revision.
type Question = (Uuid, i64);

/// What the batches of a group say, by place.
#[derive(Debug, Default)]
pub(super) struct Steps {
    by_place: BTreeMap<Place, BTreeMap<Question, Vec<Step>>>,
    /// Monitors of a place of which something else than plain success was seen,
    /// with the agent that saw it.
    eventful: BTreeMap<Place, BTreeMap<Uuid, String>>,
    /// What answers bursts, by organisation, burst and region.
    answers: BTreeMap<Uuid, BTreeMap<Uuid, BTreeMap<Uuid, Answer>>>,
    /// What was newest before the group, where that matters; read once.
    newest: BTreeMap<Place, BTreeMap<Question, Newest>>,
    asked: BTreeSet<(Place, Uuid)>,
}

impl Steps {
    /// Adds what one row says, if it can be dated.
    pub(super) fn add(
        &mut self,
        source: &Source,
        monitor_id: Uuid,
        revision: i64,
        step: Option<Step>,
    ) {
        let Some(step) = step else { return };
        let place = (source.organisation_id, source.region_id);
        if !step.is_plain() {
            let eventful = self.eventful.entry(place).or_default();
            eventful.insert(monitor_id, source.agent_id.clone());
        }
        if let Step::Sight(Sight { burst: Some(mark), outcome, .. }) = &step {
            let bursts = self.answers.entry(source.organisation_id).or_default();
            let regions = bursts.entry(mark.id).or_default();
            let answer = regions.entry(source.region_id).or_default();
            match outcome {
                Outcome::Ok | Outcome::Degraded => answer.succeeded = true,
                _ => answer.failures += 1,
            }
        }
        let questions = self.by_place.entry(place).or_default();
        questions.entry((monitor_id, revision)).or_default().push(step);
    }

    /// Reads what was newest of the eventful monitors that were not asked for yet.
    pub(super) async fn read_newest(
        &mut self,
        tx: &mut Tx,
        organisation_id: Uuid,
        region_id: Uuid,
    ) -> Result<(), StoreError> {
        let place = (organisation_id, region_id);
        let Some(eventful) = self.eventful.get(&place) else { return Ok(()) };
        let ids: Vec<Uuid> =
            eventful.keys().filter(|id| self.asked.insert((place, **id))).copied().collect();
        if !ids.is_empty() {
            let found = results::newest(tx, organisation_id, region_id, ids).await?;
            self.newest.entry(place).or_default().extend(found);
        }
        Ok(())
    }

    /// Counts the steps into region states, evaluates what they may have changed,
    /// and confirms what began.
    pub(super) async fn correlate(
        mut self,
        tx: &mut Tx,
        group_wait_ms: i64,
        now: i64,
    ) -> Result<(Turned, Confirmed), StoreError> {
        let (mut turned, mut confirmed) = (Turned::default(), Confirmed::default());
        let organisations: BTreeSet<Uuid> =
            self.by_place.keys().map(|(organisation_id, _)| *organisation_id).collect();
        for organisation_id in organisations {
            let unsteady = self.unsteady(tx, organisation_id).await?;
            let mut began = Vec::new();
            if !unsteady.is_empty() {
                let ids: Vec<Uuid> = unsteady.into_iter().collect();
                let locked = states::lock(tx, organisation_id, ids.clone()).await?;
                let mut counted = Counted::default();
                for monitor in states::watched(tx, organisation_id, &ids).await? {
                    self.count(organisation_id, &monitor, now, &mut counted);
                }
                states::put_rows(tx, organisation_id, &counted.changed).await?;
                states::delete_rows_at(tx, organisation_id, &counted.steady).await?;
                began = counted.began;
                let wait = group_wait_ms;
                let changed =
                    verdicts::evaluate_locked(tx, organisation_id, locked, wait, now).await?;
                turned.add(changed);
            }
            if let Some(answers) = self.answers.remove(&organisation_id) {
                confirmed.settled += bursts::answer(tx, organisation_id, &answers, now).await?;
            }
            confirmed.add(confirm::ask(tx, organisation_id, &began, now).await?);
        }
        Ok((turned, confirmed))
    }

    /// The monitors that have to be looked at, by id.
    async fn unsteady(
        &self,
        tx: &mut Tx,
        organisation_id: Uuid,
    ) -> Result<BTreeSet<Uuid>, StoreError> {
        let mut unsteady = BTreeSet::new();
        for ((organisation, region_id), questions) in &self.by_place {
            if *organisation != organisation_id {
                continue;
            }
            let place = (organisation_id, *region_id);
            let eventful = self.eventful.get(&place).cloned().unwrap_or_default();
            let plain: BTreeSet<Uuid> = questions
                .keys()
                .map(|(monitor_id, _)| *monitor_id)
                .filter(|id| !eventful.contains_key(id))
                .collect();
            let plain = plain.into_iter().collect();
            unsteady.extend(states::unsteady(tx, organisation_id, *region_id, plain).await?);
            unsteady.extend(eventful.into_keys());
        }
        Ok(unsteady)
    }

    /// Counts what every region of the group saw of one locked monitor.
    fn count(&mut self, organisation_id: Uuid, monitor: &Watched, now: i64, counted: &mut Counted) {
        let monitor_id = monitor.monitor_id;
        for seat in &monitor.seats {
            let (Some(region_id), Some(held)) = (seat.region_id, &seat.held) else { continue };
            let place = (organisation_id, region_id);
            let question = (monitor_id, held.revision);
            let questions = self.by_place.get_mut(&place);
            let Some(mut steps) = questions.and_then(|map| map.remove(&question)) else {
                continue;
            };
            steps.sort_by_key(Step::order);
            let newest = self.newest.get(&place).and_then(|map| map.get(&question)).copied();
            let thresholds = Thresholds::of(&monitor.spec);
            let mut track = Track::new(held.revision, thresholds, seat.row.clone(), newest);
            let mut streak = false;
            for step in &steps {
                track.step(step, now);
                let Step::Sight(Sight { burst: None, started_at, .. }) = step else { continue };
                let failures = track.row().map_or(0, |row| row.failures);
                streak |= fails_since(track.row()).is_some_and(|began| {
                    burst::may_ask(failures, thresholds.fail_after, began, *started_at)
                });
            }
            let row = track.into_row();
            if row == seat.row {
                continue;
            }
            if streak
                && let Some(at) = fails_since(row.as_ref())
                && let Some(agent_id) =
                    self.eventful.get(&place).and_then(|agents| agents.get(&monitor_id))
            {
                let agent_id = agent_id.clone();
                counted.began.push(Began { monitor_id, region_id, at, agent_id });
            }
            let seat = states::Place { monitor_id, region_id };
            match row {
                Some(row) => counted.changed.push((seat, row)),
                None => counted.steady.push(seat),
            }
        }
    }
}

/// What was counted of an organisation's locked monitors.
#[derive(Debug, Default)]
struct Counted {
    changed: Vec<(states::Place, StateRow)>,
    /// Without a row from now on.
    steady: Vec<states::Place>,
    /// Where streaks of failures began.
    began: Vec<Began>,
}

/// When the streak of failures began that the row is in: of failures that say
/// something about the target.
fn fails_since(row: Option<&StateRow>) -> Option<i64> {
    let row = row.filter(|row| row.failures > 0)?;
    let ours = row.reason.as_deref().is_some_and(casts_no_vote);
    row.streak_began.filter(|_| !ours)
}
