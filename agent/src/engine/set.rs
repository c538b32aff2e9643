//! Putting a set in force: what changed is prepared, what stayed is kept.
//!
//! Preparing is work: patterns, expressions, TLS configurations, for thousands of
//! monitors. It is done beside the loop, from which the present set goes on
//! meanwhile; then the loop takes all of it at once.

use super::Engine;
use crate::assignments::store::Life;
use crate::assignments::{HeldAssignment, HeldSet};
use crate::clock;
use crate::runner::{Check, Prober};
use hyperverge_agent_core::schedule::Assigned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info, warn};
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

/// A set that is ready to be put in force.
pub(super) struct Ready<P: Prober> {
    in_force: InForce,
    life: Life,
    checks: Checks<P>,
}

/// A set that is being prepared; given up when this is dropped.
pub(super) struct Preparing<P: Prober> {
    task: JoinHandle<Option<Ready<P>>>,
    _given_up: DropGuard,
}

impl<P: Prober> Preparing<P> {
    /// Prepares what `checks` do not hold already.
    fn begin(prober: Arc<P>, checks: Arc<Checks<P>>, set: Arc<HeldSet>, life: Life) -> Self {
        let given_up = CancellationToken::new();
        let asked = given_up.clone();
        let task = spawn_blocking(move || {
            let checks = prepare_all(&*prober, &checks, &set, &asked)?;
            let places = set.assignments.iter().map(Place::of).collect();
            let HeldSet { version, issued_ms, lifetime_ms, .. } = *set;
            let in_force = InForce { version, issued_ms, lifetime_ms, places };
            Some(Ready { in_force, life, checks })
        });
        Self { task, _given_up: given_up.drop_guard() }
    }
}

/// The set that was prepared; never there while none is. `None`: it came to nothing.
pub(super) async fn prepared<P: Prober>(
    preparing: &mut Option<Preparing<P>>,
) -> Option<Box<Ready<P>>> {
    let Some(preparing) = preparing else { return std::future::pending().await };
    match (&mut preparing.task).await {
        Ok(ready) => ready.map(Box::new),
        Err(error) => {
            error!(%error, "an assignment set cannot be prepared and is not put in force");
            None
        }
    }
}

/// The checks of `set`, of which `held` are there already; `None` when given up.
fn prepare_all<P: Prober>(
    prober: &P,
    held: &Checks<P>,
    set: &HeldSet,
    given_up: &CancellationToken,
) -> Option<Checks<P>> {
    let region: Arc<str> = set.region.as_str().into();
    let mut checks = Checks::<P>::new();
    for assignment in &set.assignments {
        if given_up.is_cancelled() {
            return None;
        }
        let key = (assignment.monitor, assignment.revision);
        let check = match held.get(&key) {
            Some(check) => check.clone(),
            None => prepare(prober, assignment, &region),
        };
        checks.insert(key, check);
    }
    Some(checks)
}

fn prepare<P: Prober>(prober: &P, held: &HeldAssignment, region: &Arc<str>) -> Prepared<P> {
    match held.spec() {
        Ok(spec) => {
            let check = Check::Ready {
                name: spec.name.clone(),
                region: region.clone(),
                timeout: spec.timeout().0,
                prepared: prober.prepare(&spec),
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

impl<P: Prober> Engine<P> {
    /// Begins to prepare what is new in `set`. While another is being prepared it
    /// waits, and only the newest that waits counts.
    pub(super) fn take_set(&mut self, set: Arc<HeldSet>, life: Life) {
        if self.preparing.is_some() {
            self.next_set = Some((set, life));
            return;
        }
        let (prober, checks) = (self.prober.clone(), self.checks.clone());
        self.preparing = Some(Preparing::begin(prober, checks, set, life));
    }

    /// Puts in force what was prepared, and goes on with what waited for that.
    pub(super) fn set_prepared(&mut self, ready: Option<Box<Ready<P>>>) {
        self.preparing = None;
        if let Some(ready) = ready {
            let Ready { in_force, life, checks } = *ready;
            let gone = std::mem::replace(&mut self.checks, Arc::new(checks));
            self.set = Some((in_force, life));
            self.apply_set();
            // Taking thousands of checks apart is work as well.
            spawn_blocking(move || drop(gone));
        }
        if let Some((set, life)) = self.next_set.take() {
            self.take_set(set, life);
        }
        let waiting = std::mem::take(&mut self.bursts_waiting);
        waiting.into_iter().for_each(|burst| self.take_burst(burst));
    }

    /// Drops the set in force, and those on their way to it.
    pub(super) fn drop_sets(&mut self) {
        self.set = None;
        self.preparing = None;
        self.next_set = None;
        self.bursts_waiting.clear();
        self.schedule.replace(Vec::new(), i64::MIN, i64::MIN, self.now());
        self.around.status.set_version.store(0, Relaxed);
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
