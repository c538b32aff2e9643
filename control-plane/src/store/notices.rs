//! What a notice is made of: the incident as it stands, and who was told of it.

use super::incidents::Incident;
use super::{StoreError, Tx, monitors};
use crate::params;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::{Notice, NoticeGroup, NoticeKind, NoticeSubject};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What a notice says beside its incident.
#[derive(Debug, Clone)]
pub struct Telling {
    pub kind: NoticeKind,
    pub event_number: i64,
    pub opening_included: bool,
    /// What is watched, when the subject is a monitor.
    pub target: Option<String>,
    pub group: Option<NoticeGroup>,
}

/// The notice about `incident`, whose details are found below `public_url`.
pub fn notice(incident: &Incident, telling: Telling, public_url: &str) -> Notice {
    Notice {
        kind: telling.kind,
        incident_id: incident.id,
        event_number: telling.event_number,
        subject: NoticeSubject {
            kind: incident.subject_kind.as_str().to_owned(),
            id: incident.subject_id.clone(),
            name: incident.subject_name.clone(),
        },
        target: telling.target,
        verdict: incident.verdict.as_str().to_owned(),
        scope: incident.scope.as_str().to_owned(),
        severity: incident.severity.as_str().to_owned(),
        summary: incident.summary.clone(),
        cause: incident.cause.clone(),
        regions: incident.regions.clone(),
        started_at_ms: incident.started_at,
        opened_at_ms: incident.opened_at,
        resolved_at_ms: incident.resolved_at,
        opening_included: telling.opening_included,
        incident_url: format!("{}/#incident-{}", public_url.trim_end_matches('/'), incident.id),
        group: telling.group,
    }
}

/// What a monitor watches, or watched last; nothing for another subject.
pub async fn target(
    tx: &mut Tx,
    organisation_id: Uuid,
    kind: SubjectKind,
    subject_id: &str,
) -> Result<Option<String>, StoreError> {
    let Ok(id) = subject_id.parse() else { return Ok(None) };
    if kind != SubjectKind::Monitor {
        return Ok(None);
    }
    let specs = monitors::newest_specs(tx, organisation_id, vec![id]).await?;
    Ok(specs.into_values().next().map(|spec| spec.target))
}

/// The channels that were told of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    pub all: BTreeSet<Uuid>,
    /// Those of them that were told of its beginning below the quorum.
    pub quietly: BTreeSet<Uuid>,
}

/// The channels that were put in the outbox for these incidents before: whoever was
/// told of a beginning is told of its end.
pub async fn told_channels(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_ids: Vec<Uuid>,
) -> Result<BTreeMap<Uuid, Heard>, StoreError> {
    let sql = crate::among!(tx, "SELECT DISTINCT d.incident_id, d.channel_id,
            CAST(CASE WHEN p.quiet AND p.kind = 'opened' THEN 1 ELSE 0 END AS BIGINT) AS quietly
        FROM deliveries d LEFT JOIN page_intents p ON p.organisation_id = d.organisation_id
            AND p.incident_id = d.incident_id AND p.event_number = d.event_number
        WHERE d.organisation_id = $1 AND d.incident_id ", uuids "$2", "");
    let rows = tx.fetch_all(sql, params![organisation_id, incident_ids]).await?;
    let mut told: BTreeMap<Uuid, Heard> = BTreeMap::new();
    for row in &rows {
        let heard = told.entry(row.get("incident_id")?).or_default();
        let channel = row.get("channel_id")?;
        heard.all.insert(channel);
        if row.get::<i64>("quietly")? == 1 {
            heard.quietly.insert(channel);
        }
    }
    Ok(told)
}
