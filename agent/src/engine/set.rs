//! Putting a set in force: what changed is prepared, what stayed is kept.

use super::Engine;
use crate::assignments::{HeldAssignment, HeldSet};
use crate::clock;
use crate::runner::{Check, Prober};
use hyperverge_agent_core::schedule::Assigned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tracing::{info, warn};
use uuid::Uuid;

/// Prepared checks by monitor and revision.
pub(super) type Checks<P> = BTreeMap<(Uuid, u64), Arc<Check<<P as Prober>::Prepared>>>;

impl<P: Prober> Engine<P> {
    /// Gives the schedule the set that is held, in the time that is known.
    pub(super) fn apply_set(&mut self) {
        let Some((set, life)) = self.set.clone() else { return };
        let mut checks = Checks::<P>::new();
        let mut assigned = Vec::with_capacity(set.assignments.len());
        for held in &set.assignments {
            let key = (held.monitor, held.revision);
            let check = match self.checks.remove(&key) {
                Some(check) => check,
                None => Arc::new(self.prepare(held, &set)),
            };
            checks.insert(key, check.clone());
            assigned.push(placed(held, check, self.clock.is_dated()));
        }
        self.checks = checks;
        let now = self.now();
        let expires_boot_ms =
            life.at(self.around.boot_id, clock::boot_ms()).expires_boot_ms(set.lifetime_ms);
        info!(version = set.version, assignments = assigned.len(), "assignment set in force");
        self.schedule.replace(assigned, expires_boot_ms, now);
        self.drain_effects(now);
        self.around.status.set_version.store(set.version, Relaxed);
        self.around.status.set_expires_boot_ms.store(expires_boot_ms, Relaxed);
        self.around.metrics.assignment_set_version.set(set.version as i64);
        self.around.metrics.assignments.set(self.schedule.assignments() as i64);
    }

    fn prepare(&self, held: &HeldAssignment, set: &HeldSet) -> Check<P::Prepared> {
        match &held.spec {
            Ok(spec) => Check::Ready {
                name: spec.name.clone(),
                region: set.region.as_str().into(),
                timeout: spec.timeout().0,
                prepared: self.prober.prepare(spec),
            },
            Err(rule) => {
                warn!(monitor = %held.monitor, revision = held.revision, rule, "specification is not readable");
                Check::Unsupported(rule.clone())
            }
        }
    }
}

/// The assignment for the schedule. While undated, slots are counted from the
/// host's boot at the assignment's phase, and every slot is ours.
fn placed<C>(held: &HeldAssignment, check: C, dated: bool) -> Assigned<C> {
    let phase = held.anchor_ms.rem_euclid(held.interval_ms);
    let (anchor_ms, first_slot) = if dated {
        (held.anchor_ms, held.first_slot)
    } else {
        let elapsed = clock::boot_ms() - phase;
        (phase, elapsed.div_euclid(held.interval_ms) + 1)
    };
    Assigned {
        monitor: held.monitor,
        revision: held.revision,
        anchor_ms,
        interval_ms: held.interval_ms,
        first_slot,
        check,
    }
}
