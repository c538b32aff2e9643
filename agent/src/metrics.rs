//! The catalogue of metrics: every name this agent exposes, once.
//!
//! Labels take few values: a monitor or a target is never one. To add a metric:
//! a field and a line in [`Metrics::new`], with the unit in the name.

use hyperverge_protocol::outcome::{Observation, Outcome};
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::time::Duration;

/// Seconds of a check or of one of its phases.
const PROBE_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Every metric of the agent.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    checks: CheckMetrics,
    pub probes_in_flight: IntGauge,
    /// Labels: reason (overload suspend stopped spool_full).
    pub missed_slots_total: IntCounterVec,
    pub missed_slots_forgotten_total: IntCounter,
    pub assignments: IntGauge,
    pub assignment_set_version: IntGauge,
    pub assignment_sets_refused_total: IntCounter,
    /// Labels: result (taken, or why it was dropped).
    pub burst_orders_total: IntCounterVec,
    pub link_up: IntGauge,
    pub link_connects_total: IntCounter,
    pub spool: SpoolMetrics,
}

/// What every check counts into. Each labelled metric is looked up once, at the
/// start: looking it up again for every check is work that shows at 10,000 a second.
#[derive(Debug)]
struct CheckMetrics {
    /// By [`outcome_place`].
    executed: [IntCounter; OUTCOMES.len()],
    duration: Histogram,
    /// In the order of [`PHASES`].
    phases: [Histogram; PHASES.len()],
}

/// Values of the label `outcome`.
const OUTCOMES: [&str; 5] = ["ok", "degraded", "fail", "policy", "unsupported"];
/// Values of the label `phase`.
const PHASES: [&str; 5] = ["resolve", "connect", "tls", "processing", "transfer"];

/// What goes through the spool.
#[derive(Debug)]
pub struct SpoolMetrics {
    /// Labels: lane (live backlog).
    pub batches_sealed_total: IntCounterVec,
    /// Labels: lane.
    pub batches_acknowledged_total: IntCounterVec,
    pub results_refused_total: IntCounter,
    /// Labels: kind (success failure waiting).
    pub results_folded_total: IntCounterVec,
    pub bytes: IntGauge,
    /// Labels: lane.
    pub batches: IntGaugeVec,
    pub corrupt_records_total: IntCounter,
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let metric = made.expect("names and labels are constants, checked by a test");
    registry.register(Box::new(metric.clone())).expect("a name stands once in the catalogue");
    metric
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    add(registry, IntCounter::new(name, help))
}

fn counters(registry: &Registry, name: &str, label: &str, help: &str) -> IntCounterVec {
    add(registry, IntCounterVec::new(Opts::new(name, help), &[label]))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    add(registry, IntGauge::new(name, help))
}

fn gauges(registry: &Registry, name: &str, label: &str, help: &str) -> IntGaugeVec {
    add(registry, IntGaugeVec::new(Opts::new(name, help), &[label]))
}

fn seconds(registry: &Registry, name: &str, help: &str) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(PROBE_SECONDS.to_vec());
    add(registry, Histogram::with_opts(options))
}

fn seconds_by(registry: &Registry, name: &str, label: &str, help: &str) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(PROBE_SECONDS.to_vec());
    add(registry, HistogramVec::new(options, &[label]))
}

impl Metrics {
    /// A catalogue with every counter at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let r = &registry;
        Self {
            checks: CheckMetrics::new(r),
            probes_in_flight: gauge(r, "agent_probes_in_flight", "Checks that run."),
            missed_slots_total: counters(
                r,
                "agent_missed_slots_total",
                "reason",
                "Slots without a result.",
            ),
            missed_slots_forgotten_total: counter(
                r,
                "agent_missed_slots_forgotten_total",
                "Slots without a result of which nobody is told, because too many wait.",
            ),
            assignments: gauge(r, "agent_assignments", "Monitors of the set in force."),
            assignment_set_version: gauge(
                r,
                "agent_assignment_set_version",
                "Set in force, 0: none.",
            ),
            assignment_sets_refused_total: counter(
                r,
                "agent_assignment_sets_refused_total",
                "Sets forged, broken or old.",
            ),
            burst_orders_total: counters(
                r,
                "agent_burst_orders_total",
                "result",
                "Orders of bursts, by what became of them.",
            ),
            link_up: gauge(r, "agent_link_up", "1 while a session is established."),
            link_connects_total: counter(
                r,
                "agent_link_connects_total",
                "Handshakes that succeeded.",
            ),
            spool: SpoolMetrics::new(r),
            registry,
        }
    }

    /// Counts one finished check.
    pub fn observe(&self, observation: &Observation, took: Duration) {
        self.checks.executed[outcome_place(observation.outcome)].inc();
        self.checks.duration.observe(took.as_secs_f64());
        let phases = &observation.phases;
        let took = [phases.resolve, phases.connect, phases.tls, phases.processing, phases.transfer];
        for (histogram, phase) in self.checks.phases.iter().zip(took) {
            if let Some(phase) = phase {
                histogram.observe(phase.as_secs_f64());
            }
        }
    }

    /// The text exposition.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

impl CheckMetrics {
    fn new(r: &Registry) -> Self {
        let help = "Checks that ended, by outcome.";
        let executed = counters(r, "monitor_checks_executed_total", "outcome", help);
        let help = "Phases of checks.";
        let phases = seconds_by(r, "probe_http_duration_seconds", "phase", help);
        Self {
            executed: OUTCOMES.map(|outcome| executed.with_label_values(&[outcome])),
            duration: seconds(r, "probe_duration_seconds", "Whole checks."),
            phases: PHASES.map(|phase| phases.with_label_values(&[phase])),
        }
    }
}

impl SpoolMetrics {
    fn new(r: &Registry) -> Self {
        Self {
            batches_sealed_total: counters(
                r,
                "agent_batches_sealed_total",
                "lane",
                "Batches made durable.",
            ),
            batches_acknowledged_total: counters(
                r,
                "agent_batches_acknowledged_total",
                "lane",
                "Batches stored.",
            ),
            results_refused_total: counter(
                r,
                "agent_results_refused_total",
                "Rows refused at ingest.",
            ),
            results_folded_total: counters(
                r,
                "agent_results_folded_total",
                "kind",
                "Results given up.",
            ),
            bytes: gauge(r, "agent_spool_bytes", "Bytes of the spool's segment files."),
            batches: gauges(r, "agent_spool_batches", "lane", "Batches that wait, by lane."),
            corrupt_records_total: counter(
                r,
                "agent_spool_corrupt_records_total",
                "Damaged spool records.",
            ),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Where an outcome stands in [`OUTCOMES`].
fn outcome_place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Ok => 0,
        Outcome::Degraded => 1,
        Outcome::Fail => 2,
        Outcome::Policy => 3,
        Outcome::Unsupported => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_counted() {
        let metrics = Metrics::new();
        let seen = Observation::bare(Outcome::Ok, None, "");
        metrics.observe(&seen, Duration::from_millis(3));
        let text = metrics.render();
        assert!(text.contains("monitor_checks_executed_total{outcome=\"ok\"} 1"), "{text}");
        assert!(text.contains("probe_duration_seconds_count 1"), "{text}");
    }
}
