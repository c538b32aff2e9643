//! What a notice is made of: the incident as it stands, and whom it concerns.

use super::{Row, StoreError, Tx};
use crate::params;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::{Notice, NoticeKind, NoticeRegion, NoticeSubject};
use hyperverge_protocol::monitor::MonitorSpec;
use uuid::Uuid;

/// An incident as a notice tells it.
#[derive(Debug, Clone)]
pub struct Facts {
    pub incident_id: Uuid,
    pub subject: NoticeSubject,
    pub verdict: String,
    pub scope: String,
    pub severity: String,
    pub summary: String,
    pub cause: Option<String>,
    pub regions: Vec<NoticeRegion>,
    pub started_at: i64,
    pub opened_at: i64,
    pub resolved_at: Option<i64>,
    /// What is watched; the newest specification, also of a deleted monitor.
    pub target: Option<String>,
    /// Channels the monitor names; empty: the organisation's defaults.
    pub notify: Vec<String>,
}

impl Facts {
    /// The notice of `kind` about these facts.
    pub fn notice(
        &self,
        kind: NoticeKind,
        event_number: i64,
        opening_included: bool,
        public_url: &str,
    ) -> Notice {
        Notice {
            kind,
            incident_id: self.incident_id,
            event_number,
            subject: self.subject.clone(),
            target: self.target.clone(),
            verdict: self.verdict.clone(),
            scope: self.scope.clone(),
            severity: self.severity.clone(),
            summary: self.summary.clone(),
            cause: self.cause.clone(),
            regions: self.regions.clone(),
            started_at_ms: self.started_at,
            opened_at_ms: self.opened_at,
            resolved_at_ms: self.resolved_at,
            opening_included,
            incident_url: format!(
                "{}/#incident-{}",
                public_url.trim_end_matches('/'),
                self.incident_id
            ),
        }
    }
}

/// The facts of an incident, locked until the commit; `None` when there is no such incident.
pub async fn lock(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<Option<Facts>, StoreError> {
    const PLAIN: &str = "SELECT * FROM incidents WHERE organisation_id = $1 AND id = $2";
    const LOCKING: &str =
        "SELECT * FROM incidents WHERE organisation_id = $1 AND id = $2 FOR UPDATE";
    let sql = tx.for_update(PLAIN, LOCKING);
    let Some(row) = tx.fetch_optional(sql, params![organisation_id, incident_id]).await? else {
        return Ok(None);
    };
    let mut facts = read(&row)?;
    if facts.subject.kind == "monitor"
        && let Ok(monitor_id) = facts.subject.id.parse()
        && let Some(spec) = newest_spec(tx, organisation_id, monitor_id).await?
    {
        facts.target = Some(spec.target);
        facts.notify = spec.notify;
    }
    Ok(Some(facts))
}

/// What a monitor watches, or watched last; nothing for another subject.
pub async fn target(
    tx: &mut Tx,
    organisation_id: Uuid,
    kind: SubjectKind,
    subject_id: &str,
) -> Result<Option<String>, StoreError> {
    match subject_id.parse() {
        Ok(id) if kind == SubjectKind::Monitor => {
            Ok(newest_spec(tx, organisation_id, id).await?.map(|spec| spec.target))
        }
        _ => Ok(None),
    }
}

/// The channels that were put in the outbox for this incident before: whoever
/// was told of the beginning is told of the end.
pub async fn told_channels(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<Vec<Uuid>, StoreError> {
    const SQL: &str = "SELECT DISTINCT channel_id FROM deliveries
        WHERE organisation_id = $1 AND incident_id = $2 ORDER BY channel_id";
    let rows = tx.fetch_all(SQL, params![organisation_id, incident_id]).await?;
    rows.iter().map(|row| row.get("channel_id")).collect()
}

/// Writes an event of delivery (`paged`, `held`) into the incident's timeline.
pub async fn record(
    tx: &mut Tx,
    organisation_id: Uuid,
    facts: &Facts,
    event: &Event<'_>,
    now: i64,
) -> Result<(), StoreError> {
    const NUMBER: &str = "UPDATE incidents SET last_event = last_event + 1, paged = paged OR $3
        WHERE organisation_id = $1 AND id = $2 RETURNING last_event";
    const EVENT: &str = "INSERT INTO incident_events
            (organisation_id, incident_id, number, at, kind, verdict, scope, summary, evidence)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = params![organisation_id, facts.incident_id, event.paged];
    let Some(row) = tx.fetch_optional(NUMBER, values).await? else { return Ok(()) };
    let number: i64 = row.get("last_event")?;
    let values = params![
        organisation_id,
        facts.incident_id,
        number,
        now,
        event.kind,
        &facts.verdict,
        &facts.scope,
        event.summary,
        event.evidence.to_string()
    ];
    tx.execute(EVENT, values).await.map(drop)
}

/// What [`record`] writes.
#[derive(Debug)]
pub struct Event<'a> {
    pub kind: &'a str,
    pub summary: &'a str,
    pub evidence: serde_json::Value,
    /// Whether the incident's opening is in the outbox now.
    pub paged: bool,
}

async fn newest_spec(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
) -> Result<Option<MonitorSpec>, StoreError> {
    const SQL: &str = "SELECT spec FROM monitor_revisions
        WHERE organisation_id = $1 AND monitor_id = $2 ORDER BY revision DESC LIMIT 1";
    let row = tx.fetch_optional(SQL, params![organisation_id, monitor_id]).await?;
    // One that only a newer version can read must not keep anybody from being told.
    Ok(row.and_then(|row| row.json("spec").ok()))
}

fn read(row: &Row) -> Result<Facts, StoreError> {
    Ok(Facts {
        incident_id: row.get("id")?,
        subject: NoticeSubject {
            kind: row.get("subject_kind")?,
            id: row.get("subject_id")?,
            name: row.get("subject_name")?,
        },
        verdict: row.get("verdict")?,
        scope: row.get("scope")?,
        severity: row.get("severity")?,
        summary: row.get("summary")?,
        cause: row.get("cause")?,
        regions: row.json("regions")?,
        started_at: row.get("started_at")?,
        opened_at: row.get("opened_at")?,
        resolved_at: row.get("resolved_at")?,
        target: None,
        notify: Vec::new(),
    })
}
