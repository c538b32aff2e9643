//! Putting a set in force: what changed is prepared, what stayed is kept.

use super::Engine;
use crate::assignments::store::Life;
use crate::assignments::{HeldAssignment, HeldSet};
use crate::clock;
use crate::runner::{Check, Prober};
use hyperverge_agent_core::schedule::Assigned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tracing::{info, warn};
use uuid::Uuid;

/// Prepared checks by monitor and revision, each with the host it asks.
pub(super) type Checks<P> = BTreeMap<(Uuid, u64), Prepared<P>>;
type Prepared<P> = (Arc<Check<<P as Prober>::Prepared>>, Arc<str>);

/// A set as the schedule needs it: what was prepared from the specifications is
/// all that checks use.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) version: u64,
    issued_ms: i64,
    lifetime_ms: u64,
    places: Vec<Place>,
}

/// Where one monitor stands in time.
#[derive(Debug, Clone)]
struct Place {
    monitor: Uuid,
    revision: u64,
    anchor_ms: i64,
    interval_ms: i64,
    first_slot: i64,
}

impl Place {
    fn of(held: &HeldAssignment) -> Self {
        Self {
            monitor: held.monitor,
            revision: held.revision,
            anchor_ms: held.anchor_ms,
            interval_ms: held.interval_ms,
            first_slot: held.first_slot,
        }
    }
}

impl<P: Prober> Engine<P> {
    /// Prepares what is new in `set`, and puts it in force.
    pub(super) fn take_set(&mut self, set: &HeldSet, life: Life) {
        let mut checks = Checks::<P>::new();
        for held in &set.assignments {
            let key = (held.monitor, held.revision);
            let check = match self.checks.remove(&key) {
                Some(check) => check,
                None => self.prepare(held, set),
            };
            checks.insert(key, check);
        }
        self.checks = checks;
        let places = set.assignments.iter().map(Place::of).collect();
        let HeldSet { version, issued_ms, lifetime_ms, .. } = *set;
        let in_force = InForce { version, issued_ms, lifetime_ms, places };
        self.set = Some((in_force, life));
        self.apply_set();
    }

    /// Gives the schedule the set that is held, in the time that is known.
    pub(super) fn apply_set(&mut self) {
        let Some((set, life)) = &self.set else { return };
        let dated = self.clock.is_dated();
        let check = |place: &Place| self.checks.get(&(place.monitor, place.revision)).cloned();
        let assigned: Vec<_> = set
            .places
            .iter()
            .filter_map(|place| {
                let (check, target) = check(place)?;
                Some(placed(place, check, target, dated))
            })
            .collect();
        let (version, now) = (set.version, self.now());
        let expires_boot_ms =
            life.at(self.around.boot_id, clock::boot_ms()).expires_boot_ms(set.lifetime_ms);
        info!(version, assignments = assigned.len(), "assignment set in force");
        // What is counted from the host's boot has no place in a plan: it ends at once.
        let issued_ms = if dated { set.issued_ms } else { i64::MIN };
        self.schedule.replace(assigned, issued_ms, expires_boot_ms, now);
        self.drain_effects(now);
        self.around.status.set_version.store(version, Relaxed);
        self.around.status.set_expires_boot_ms.store(expires_boot_ms, Relaxed);
        self.around.metrics.assignment_set_version.set(version as i64);
        self.around.metrics.assignments.set(self.schedule.assignments() as i64);
    }

    fn prepare(&self, held: &HeldAssignment, set: &HeldSet) -> Prepared<P> {
        match held.spec() {
            Ok(spec) => {
                let check = Check::Ready {
                    name: spec.name.clone(),
                    region: set.region.as_str().into(),
                    timeout: spec.timeout().0,
                    prepared: self.prober.prepare(&spec),
                };
                (Arc::new(check), spec.asked_host().into())
            }
            Err(rule) => {
                warn!(monitor = %held.monitor, revision = held.revision, rule, "specification is not readable");
                let nobody = held.monitor.to_string().into();
                (Arc::new(Check::Unsupported(rule)), nobody)
            }
        }
    }
}

/// The assignment for the schedule. While undated, slots are counted from the
/// host's boot at the assignment's phase, and every slot is ours.
fn placed<C>(place: &Place, check: C, target: Arc<str>, dated: bool) -> Assigned<C> {
    let phase = place.anchor_ms.rem_euclid(place.interval_ms);
    let (anchor_ms, first_slot) = if dated {
        (place.anchor_ms, place.first_slot)
    } else {
        let elapsed = clock::boot_ms() - phase;
        (phase, elapsed.div_euclid(place.interval_ms) + 1)
    };
    Assigned {
        monitor: place.monitor,
        revision: place.revision,
        anchor_ms,
        interval_ms: place.interval_ms,
        first_slot,
        target,
        check,
    }
}
