//! The catalogue of metrics: every name this process exposes, once.
//!
//! Alerts and dashboards may use only names from here; `docs/metrics.md` is
//! generated from it (its test fails when the two differ, and says how to renew it).
//! To add one: a field and a line in [`Metrics::new`], with the unit in the
//! name. Labels take few values: a monitor or an agent is never a label.

mod catalogue;

pub use catalogue::Entry;

use catalogue::Catalogue;
use prometheus::{
    Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};

/// Seconds of an HTTP request.
const REQUEST_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds from arrival to commit, or to an accepted delivery.
const WORK_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Seconds from a target's first failure to the accepted notice.
const PAGE_SECONDS: &[f64] = &[1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// Every metric of the control plane.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    entries: Vec<Entry>,

    /// Labels: status.
    pub http_requests_total: IntCounterVec,
    pub http_request_duration_seconds: Histogram,

    /// Labels: outcome (ok degraded fail policy unsupported).
    pub monitor_checks_executed_total: IntCounterVec,
    pub ingest_batches_total: IntCounterVec,
    pub ingest_rows_total: IntCounterVec,
    pub ingest_commit_duration_seconds: Histogram,
    pub ingest_queue_batches: IntGauge,
    pub missed_slots_total: IntCounterVec,

    pub link_handshakes_total: IntCounterVec,
    pub link_agents_connected: IntGauge,
    pub link_refusals_total: IntCounterVec,
    pub link_sets_sent_total: IntCounter,
    pub enrollments_total: IntCounterVec,

    pub agents: IntGaugeVec,
    pub scheduler_jobs_scheduled_total: IntCounter,
    pub planner_duration_seconds: Histogram,
    pub retention_rows_deleted_total: IntCounterVec,

    pub bursts_asked_total: IntCounter,
    pub bursts_kept_back_total: IntCounterVec,
    pub burst_orders_signed_total: IntCounter,
    pub burst_orders_sent_total: IntCounter,

    pub incidents_created_total: IntCounterVec,
    pub incidents_open: IntGaugeVec,
    pub correlator_duration_seconds: Histogram,
    pub page_intents_settled_total: IntCounterVec,
    pub page_intents_held_total: IntCounterVec,
    pub incident_groups_total: IntCounterVec,
    pub vantage_faults_total: IntCounterVec,

    pub notifier_notifications_sent_total: IntCounterVec,
    pub notifier_attempt_duration_seconds: HistogramVec,
    pub notifier_page_delay_seconds: Histogram,
    pub deliveries_pending: IntGauge,
    pub deliveries_dead: IntGauge,

    pub task_last_success_timestamp_seconds: prometheus::GaugeVec,
    pub store_transactions_retried_total: IntCounterVec,
    pub start_timestamp_seconds: Gauge,
    pub build_info: IntGaugeVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry of its own with everything in it, at zero.
    #[rustfmt::skip] // one metric a line is the catalogue's form
    pub fn new() -> Self {
        let mut c = Catalogue::default();
        Self {
            http_requests_total: c.counters("http_requests_total", "HTTP requests answered, by status code.", &["status"]),
            http_request_duration_seconds: c.histogram("http_request_duration_seconds", "Time from a request's head to its answer's head.", REQUEST_SECONDS),

            monitor_checks_executed_total: c.counters("monitor_checks_executed_total", "Checks whose result was stored, by outcome.", &["outcome"]),
            ingest_batches_total: c.counters("hyperverge_ingest_batches_total", "Result batches judged: stored, duplicate, or refused and why.", &["outcome"]),
            ingest_rows_total: c.counters("hyperverge_ingest_rows_total", "Result rows judged: stored, duplicate or refused.", &["outcome"]),
            ingest_commit_duration_seconds: c.histogram("hyperverge_ingest_commit_duration_seconds", "Time from a batch's arrival to the commit that stored it.", WORK_SECONDS),
            ingest_queue_batches: c.gauge("hyperverge_ingest_queue_batches", "Batches that wait for a commit."),
            missed_slots_total: c.counters("hyperverge_missed_slots_total", "Slots that agents reported as missed, by reason.", &["reason"]),

            link_handshakes_total: c.counters("hyperverge_link_handshakes_total", "Incoming connections on the link, by result.", &["result"]),
            link_agents_connected: c.gauge("hyperverge_link_agents_connected", "Agents with a session on this gateway."),
            link_refusals_total: c.counters("hyperverge_link_refusals_total", "Refusals sent to agents, by code.", &["code"]),
            link_sets_sent_total: c.counter("hyperverge_link_sets_sent_total", "Assignment sets sent to agents."),
            enrollments_total: c.counters("hyperverge_enrollments_total", "Enrolment requests, by result.", &["result"]),

            agents: c.gauges("hyperverge_agents", "Agents of this installation, by state; the same from every replica.", &["state"]),
            scheduler_jobs_scheduled_total: c.counter("scheduler_jobs_scheduled_total", "Assignments made or moved."),
            planner_duration_seconds: c.histogram("hyperverge_planner_duration_seconds", "Duration of one planner run.", WORK_SECONDS),
            retention_rows_deleted_total: c.counters("hyperverge_retention_rows_deleted_total", "Rows that were older than the retention allows, by table.", &["table"]),

            bursts_asked_total: c.counter("hyperverge_bursts_asked_total", "Confirmation bursts asked for, each of every region of a monitor."),
            bursts_kept_back_total: c.counters("hyperverge_bursts_kept_back_total", "First failures that asked for no burst, by reason.", &["reason"]),
            burst_orders_signed_total: c.counter("hyperverge_burst_orders_signed_total", "Orders of bursts signed."),
            burst_orders_sent_total: c.counter("hyperverge_burst_orders_sent_total", "Orders of bursts sent to agents."),

            incidents_created_total: c.counters("incidents_created_total", "Incidents opened, by scope.", &["scope"]),
            incidents_open: c.gauges("hyperverge_incidents_open", "Incidents not resolved, by scope; the same from every replica.", &["scope"]),
            correlator_duration_seconds: c.histogram("hyperverge_correlator_duration_seconds", "Duration of one correlator run.", WORK_SECONDS),
            page_intents_settled_total: c.counters("hyperverge_page_intents_settled_total", "Page intents settled, by what became of them: sent, nobody, joined or folded.", &["outcome"]),
            page_intents_held_total: c.counters("hyperverge_page_intents_held_total", "Page intents that wait on, by what newly holds them: silence, maintenance, parent, votes or group.", &["reason"]),
            incident_groups_total: c.counters("hyperverge_incident_groups_total", "Groups formed of incidents that began together, by what they share.", &["cause"]),
            vantage_faults_total: c.counters("hyperverge_vantage_faults_total", "Agents, and regions of several, that lost their vote because they failed what others saw well.", &["subject"]),

            notifier_notifications_sent_total: c.counters("notifier_notifications_sent_total", "Delivery attempts, by channel kind and result.", &["kind", "result"]),
            notifier_attempt_duration_seconds: c.histograms("hyperverge_notifier_attempt_duration_seconds", "Duration of one delivery attempt.", &["kind"], WORK_SECONDS),
            notifier_page_delay_seconds: c.histogram("hyperverge_notifier_page_delay_seconds", "Time from an outbox row to its acceptance.", PAGE_SECONDS),
            deliveries_pending: c.gauge("hyperverge_deliveries_pending", "Outbox rows not yet settled."),
            deliveries_dead: c.gauge("hyperverge_deliveries_dead", "Dead letters nobody replayed or discarded."),

            task_last_success_timestamp_seconds: c.float_gauges("hyperverge_task_last_success_timestamp_seconds", "When a background task last finished a run well, Unix time.", &["task"]),
            store_transactions_retried_total: c.counters("hyperverge_store_transactions_retried_total", "Transactions that met another and were tried again, by part.", &["part"]),
            start_timestamp_seconds: c.float_gauge("hyperverge_start_timestamp_seconds", "When this process started, Unix time."),
            build_info: c.gauges("hyperverge_build_info", "Always 1; the labels say what runs here.", &["version", "roles"]),

            registry: c.registry,
            entries: c.entries,
        }
    }

    /// Says when this process started and what it is.
    pub fn describe_process(&self, roles: &[&str]) {
        self.start_timestamp_seconds.set(crate::clock::wall_ms() as f64 / 1000.0);
        let labels = [env!("CARGO_PKG_VERSION"), &roles.join(",")];
        self.build_info.with_label_values(&labels).set(1);
    }

    /// The exposition text of `/metrics`.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// What there is, in the order of the catalogue.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// The table of `docs/metrics.md`.
pub fn documentation() -> String {
    let mut page = String::from("| metric | kind | labels | is |\n|---|---|---|---|\n");
    for Entry { name, kind, labels, help } in Metrics::new().entries() {
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
        page.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/metrics.md");

    #[test]
    fn the_page_is_the_catalogue() {
        let (_, rest) = PAGE.split_once("<!-- control plane -->\n").expect("a begin mark");
        let (table, _) = rest.split_once("<!-- /control plane -->").expect("an end mark");
        assert_eq!(
            table,
            documentation(),
            "put what `hyperverge-control-plane metrics` prints between the marks of docs/metrics.md"
        );
    }

    #[test]
    fn what_the_original_system_exposed_keeps_its_name() {
        let metrics = Metrics::new();
        metrics.http_requests_total.with_label_values(&["200"]).inc();
        metrics.http_request_duration_seconds.observe(0.1);
        metrics.monitor_checks_executed_total.with_label_values(&["ok"]).inc();
        metrics.scheduler_jobs_scheduled_total.inc();
        metrics.incidents_created_total.with_label_values(&["global"]).inc();
        metrics.notifier_notifications_sent_total.with_label_values(&["webhook", "accepted"]).inc();
        let text = metrics.render().unwrap();
        for line in [
            "http_requests_total{status=\"200\"} 1",
            "http_request_duration_seconds_count 1",
            "monitor_checks_executed_total{outcome=\"ok\"} 1",
            "scheduler_jobs_scheduled_total 1",
            "incidents_created_total{scope=\"global\"} 1",
            "notifier_notifications_sent_total{kind=\"webhook\",result=\"accepted\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing");
        }
    }
}
