//! Steps 5 and 6 for what a group of batches brought.
//!
//! Steady success is one question: which of these monitors are not steady. Only
//! those are locked (in the order of their ids), counted and evaluated.

use super::Source;
use crate::store::states::{self, Watched};
use crate::store::{StoreError, Tx, results};
use crate::verdicts::{self, Turned};
use hyperverge_control_core::correlation::{Newest, Step, Thresholds, Track};
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
    /// Monitors of a place of which something else than plain success was seen.
    eventful: BTreeMap<Place, BTreeSet<Uuid>>,
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
            self.eventful.entry(place).or_default().insert(monitor_id);
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
            eventful.iter().filter(|id| self.asked.insert((place, **id))).copied().collect();
        if !ids.is_empty() {
            let found = results::newest(tx, organisation_id, region_id, ids).await?;
            self.newest.entry(place).or_default().extend(found);
        }
        Ok(())
    }

    /// Counts the steps into region states and evaluates what they may have changed.
    pub(super) async fn correlate(
        mut self,
        tx: &mut Tx,
        group_wait_ms: i64,
        now: i64,
    ) -> Result<Turned, StoreError> {
        let mut turned = Turned::default();
        let organisations: BTreeSet<Uuid> =
            self.by_place.keys().map(|(organisation_id, _)| *organisation_id).collect();
        for organisation_id in organisations {
            let unsteady = self.unsteady(tx, organisation_id).await?;
            if unsteady.is_empty() {
                continue;
            }
            let ids: Vec<Uuid> = unsteady.into_iter().collect();
            let locked = states::lock(tx, organisation_id, ids.clone()).await?;
            for monitor in states::watched(tx, organisation_id, &ids).await? {
                self.count(tx, organisation_id, &monitor, now).await?;
            }
            let changed =
                verdicts::evaluate_locked(tx, organisation_id, locked, group_wait_ms, now).await?;
            turned.add(changed);
        }
        Ok(turned)
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
                .filter(|id| !eventful.contains(id))
                .collect();
            let plain = plain.into_iter().collect();
            unsteady.extend(states::unsteady(tx, organisation_id, *region_id, plain).await?);
            unsteady.extend(eventful);
        }
        Ok(unsteady)
    }

    /// Counts what every region of the group saw of one locked monitor.
    async fn count(
        &mut self,
        tx: &mut Tx,
        organisation_id: Uuid,
        monitor: &Watched,
        now: i64,
    ) -> Result<(), StoreError> {
        for seat in &monitor.seats {
            let (Some(region_id), Some(held)) = (seat.region_id, &seat.held) else { continue };
            let place = (organisation_id, region_id);
            let question = (monitor.monitor_id, held.revision);
            let questions = self.by_place.get_mut(&place);
            let Some(mut steps) = questions.and_then(|map| map.remove(&question)) else {
                continue;
            };
            steps.sort_by_key(Step::order);
            let newest = self.newest.get(&place).and_then(|map| map.get(&question)).copied();
            let thresholds = Thresholds::of(&monitor.spec);
            let mut track = Track::new(held.revision, thresholds, seat.row.clone(), newest);
            for step in &steps {
                track.step(step, now);
            }
            let row = track.into_row();
            if row == seat.row {
                continue;
            }
            match row {
                Some(row) => {
                    let id = monitor.monitor_id;
                    states::put_row(tx, organisation_id, id, region_id, &row).await?;
                }
                None => {
                    let id = monitor.monitor_id;
                    states::delete_row(tx, organisation_id, id, region_id).await?;
                }
            }
        }
        Ok(())
    }
}
