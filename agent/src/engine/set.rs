//! Putting a set in force: what changed is prepared, what stayed is kept.

use super::Engine;
use crate::assignments::store::Life;
use crate::assignments::{HeldAssignment, HeldSet};
use crate::clock;
use crate::runner::{Check, Prober};
use hyperverge_agent_core::schedule::Assigned;
use hyperverge_protocol::egress::{parse_endpoint, parse_proxy, parse_url};
use hyperverge_protocol::monitor::{Kind, MonitorSpec};
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
        let in_force = InForce { version: set.version, lifetime_ms: set.lifetime_ms, places };
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
        self.schedule.replace(assigned, expires_boot_ms, now);
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
                (Arc::new(check), watched_host(&spec))
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

/// The host that a check of `spec` opens connections to, as far as it says;
/// monitors of one host share its cap.
fn watched_host(spec: &MonitorSpec) -> Arc<str> {
    if spec.kind == Kind::Http
        && let Some(proxy) = spec.http.proxy.as_deref().and_then(|text| parse_proxy(text).ok())
        && let Some(host) = proxy.url.host_str()
    {
        return host.into();
    }
    let asked = match (spec.kind, &spec.dns.server) {
        (Kind::Dns, Some(server)) => server,
        (Kind::Dns, None) => return spec.target.as_str().into(),
        _ => &spec.target,
    };
    if let Some(address) = spec.network.addresses.first() {
        return address.to_string().into();
    }
    let url = parse_url(asked).or_else(|_| parse_endpoint(asked).map(|endpoint| endpoint.url));
    match url.as_ref().ok().and_then(|url| url.host_str()) {
        Some(host) => host.into(),
        None => asked.as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_of_one_host_are_known_as_such() {
        let host = |spec: &str| {
            let spec = format!(r#"{{"name": "a", {spec}}}"#);
            let spec = MonitorSpec::from_json(spec.as_bytes()).expect("a good monitor");
            watched_host(&spec).to_string()
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
        for spec in [
            r#""target": "https://a.test/", "network": {"addresses": ["192.0.2.1"]}"#,
            r#""target": "https://b.test/", "http": {"proxy": "http://192.0.2.1:3128"}"#,
            r#""target": "http://c.test/", "http": {"proxy": "socks5://u:p@192.0.2.1:1080"}"#,
            r#""kind": "tcp", "target": "192.0.2.1:22""#,
        ] {
            assert_eq!(host(spec), "192.0.2.1", "{spec}");
        }
        let asks_the_system = host(r#""kind": "dns", "target": "_sip._tcp.example.com""#);
        assert_eq!(asks_the_system, "_sip._tcp.example.com");
    }
}
