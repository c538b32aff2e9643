//! Putting a set in force: what changed is prepared, what stayed is kept.

use super::Engine;
use crate::assignments::{HeldAssignment, HeldSet};
use crate::clock;
use crate::runner::{Check, Prober};
use hyperverge_agent_core::schedule::Assigned;
use hyperverge_protocol::egress::{parse_endpoint, parse_url};
use hyperverge_protocol::monitor::Kind;
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
        target: watched_host(held),
        check,
    }
}

/// The host that a check of `held` opens connections to, as far as its
/// specification says; monitors of one host share its cap.
fn watched_host(held: &HeldAssignment) -> Arc<str> {
    let Ok(spec) = &held.spec else { return held.monitor.to_string().into() };
    let asked = match &spec.dns.server {
        Some(server) if spec.kind == Kind::Dns => server,
        _ => &spec.target,
    };
    let url = parse_url(asked).or_else(|_| parse_endpoint(asked).map(|endpoint| endpoint.url));
    match url.as_ref().ok().and_then(|url| url.host_str()) {
        Some(host) => host.into(),
        None => asked.as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperverge_protocol::monitor::MonitorSpec;

    #[test]
    fn monitors_of_one_host_are_known_as_such() {
        let host = |spec: &str| {
            let spec = format!(r#"{{"name": "a", {spec}}}"#);
            let spec = MonitorSpec::from_json(spec.as_bytes()).expect("a good monitor");
            let held = HeldAssignment {
                monitor: Uuid::nil(),
                revision: 1,
                anchor_ms: 0,
                interval_ms: 1_000,
                first_slot: 0,
                spec: Ok(Box::new(spec)),
            };
            watched_host(&held).to_string()
        };
        for spec in [
            r#""target": "https://Example.com:8443/a""#,
            r#""target": "http://example.com/b?c=d""#,
            r#""kind": "tcp", "target": "example.com:22""#,
            r#""kind": "icmp", "target": "example.com""#,
            r#""kind": "dns", "target": "example.org", "dns": {"server": "example.com:53"}"#,
        ] {
            assert_eq!(host(spec), "example.com", "{spec}");
        }
        let asks_the_system = host(r#""kind": "dns", "target": "_sip._tcp.example.com""#);
        assert_eq!(asks_the_system, "_sip._tcp.example.com");
    }
}
