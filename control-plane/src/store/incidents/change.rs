//! Reading the open incident of a subject, and writing what the planner decided.

use super::{Incident, read};
use crate::clock;
use crate::params;
use crate::store::intents::{self, Intent};
use crate::store::{StoreError, Tx, json_text};
use hyperverge_control_core::correlation::{RegionView, Scope, Verdict};
use hyperverge_control_core::incident::{Change, EventKind, Open, SubjectKind};
use hyperverge_control_core::notification::{NoticeKind, NoticeRegion};
use uuid::Uuid;

/// What an incident is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub kind: SubjectKind,
    pub id: String,
    pub name: String,
}

/// The subject's open incident, locked until the commit, with what a change of it
/// depends on.
pub async fn open_of(
    tx: &mut Tx,
    organisation_id: Uuid,
    kind: SubjectKind,
    subject_id: &str,
) -> Result<Option<(Incident, Open)>, StoreError> {
    const PLAIN: &str = "SELECT * FROM incidents WHERE organisation_id = $1
        AND subject_kind = $2 AND subject_id = $3 AND resolved_at IS NULL";
    const LOCKING: &str = "SELECT * FROM incidents WHERE organisation_id = $1
        AND subject_kind = $2 AND subject_id = $3 AND resolved_at IS NULL FOR UPDATE";
    let sql = tx.for_update(PLAIN, LOCKING);
    let row = tx.fetch_optional(sql, params![organisation_id, kind.as_str(), subject_id]).await?;
    let Some(incident) = row.as_ref().map(read).transpose()? else { return Ok(None) };
    let open = facts(tx, organisation_id, &incident).await?;
    Ok(Some((incident, open)))
}

async fn facts(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident: &Incident,
) -> Result<Open, StoreError> {
    const EVENTS: &str = "SELECT scope, MAX(at) AS at, verdict FROM incident_events
        WHERE organisation_id = $1 AND incident_id = $2 GROUP BY scope, verdict";
    let rows = tx.fetch_all(EVENTS, params![organisation_id, incident.id]).await?;
    let mut changed_at = incident.opened_at;
    let mut widest_down: Option<Scope> = None;
    for row in &rows {
        changed_at = changed_at.max(row.get("at")?);
        if row.get::<String>("verdict")? == "down" {
            widest_down = widest_down.max(Some(row.word("scope")?));
        }
    }
    let told = match incident.paged && incident.verdict == Verdict::Down {
        true => told(tx, organisation_id, incident.id).await?,
        false => None,
    };
    let waiting = intents::unsettled(tx, organisation_id, incident.id).await?;
    let of = |kind, quiet| {
        waiting
            .iter()
            .filter(move |waiting| (waiting.intent.kind, waiting.intent.quiet) == (kind, quiet))
    };
    let opening = |quiet| of(NoticeKind::Opened, quiet);
    Ok(Open {
        verdict: incident.verdict,
        scope: incident.scope,
        cause: incident.cause.clone(),
        regions: incident.regions.iter().map(to_view).collect::<Result<_, _>>()?,
        started_at: incident.started_at,
        opened_at: incident.opened_at,
        changed_at,
        paged: incident.paged,
        opening_waits: opening(false).next().is_some(),
        opening_held: opening(false).any(|waiting| waiting.hold_reason.is_some()),
        widening_waits: of(NoticeKind::Widened, false).next().is_some(),
        told,
        flaps: incident.flaps,
        told_quietly: incident.told_quietly || opening(true).next().is_some(),
        widest_down,
    })
}

/// The widest scope that the incident's own notices told since it was last below the
/// quorum; where there are none, that with which it came into a group.
async fn told(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
) -> Result<Option<Scope>, StoreError> {
    const SQL: &str = "SELECT DISTINCT kind, scope FROM incident_events
        WHERE organisation_id = $1 AND incident_id = $2 AND kind IN ('paged', 'grouped')
            AND number > (SELECT COALESCE(MAX(number), 0) FROM incident_events
                WHERE organisation_id = $1 AND incident_id = $2 AND verdict <> 'down')";
    let rows = tx.fetch_all(SQL, params![organisation_id, incident_id]).await?;
    let (mut paged, mut grouped) = (None, None);
    for row in &rows {
        let scope: Scope = row.word("scope")?;
        let own = row.get::<String>("kind")? == "paged";
        let widest = if own { &mut paged } else { &mut grouped };
        *widest = (*widest).max(Some(scope));
    }
    Ok(paged.or(grouped))
}

/// Writes a change to the subject's incident: its row, its event with the
/// evidence, and what it asks to be told. `incident` is what [`open_of`] locked.
/// [`StoreError::Conflict`] when another transaction opened one meanwhile; the
/// whole transaction is then tried again.
pub async fn record(
    tx: &mut Tx,
    organisation_id: Uuid,
    subject: &Subject,
    incident: Option<&Incident>,
    change: &Change,
    evidence: &serde_json::Value,
    now: i64,
) -> Result<Uuid, StoreError> {
    let (incident_id, number) = match incident {
        Some(incident) => {
            update(tx, organisation_id, incident, change, now).await?;
            (incident.id, incident.last_event + 1)
        }
        None => (insert(tx, organisation_id, subject, change, now).await?, 1),
    };
    insert_event(tx, organisation_id, incident_id, number, change, evidence, now).await?;
    if let Some(asked) = change.intent {
        let intent = Intent {
            organisation_id,
            incident_id,
            event_number: number,
            kind: asked.kind,
            quiet: asked.quiet,
            due_at: asked.due_at,
            created_at: now,
        };
        intents::insert(tx, &intent).await?;
    }
    Ok(incident_id)
}

async fn insert(
    tx: &mut Tx,
    organisation_id: Uuid,
    subject: &Subject,
    change: &Change,
    now: i64,
) -> Result<Uuid, StoreError> {
    const SQL: &str = "INSERT INTO incidents (organisation_id, id, subject_kind, subject_id,
            subject_name, state, verdict, scope, severity, cause, summary, regions, started_at,
            opened_at, last_event, paged)
        VALUES ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, $10, $11, $12, $13, 1, FALSE)";
    let id = clock::new_id();
    let values = params![
        organisation_id,
        id,
        subject.kind.as_str(),
        &subject.id,
        &subject.name,
        change.verdict.as_str(),
        change.scope.as_str(),
        change.severity.as_str(),
        change.cause.clone(),
        &change.summary,
        regions_text(&change.regions)?,
        change.started_at,
        now
    ];
    tx.execute(SQL, values).await?;
    Ok(id)
}

async fn update(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident: &Incident,
    change: &Change,
    now: i64,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE incidents SET verdict = $3, scope = $4, severity = $5, cause = $6,
            summary = $7, regions = $8, resolved_at = $9, last_event = last_event + 1,
            state = CASE WHEN $9 IS NULL THEN state ELSE 'resolved' END, started_at = $10,
            flaps = flaps OR $11
        WHERE organisation_id = $1 AND id = $2";
    let over = change.kind == EventKind::Resolved;
    let values = params![
        organisation_id,
        incident.id,
        change.verdict.as_str(),
        change.scope.as_str(),
        change.severity.as_str(),
        change.cause.clone(),
        &change.summary,
        regions_text(&change.regions)?,
        over.then_some(now),
        change.started_at,
        change.kind == EventKind::Held
    ];
    tx.execute(SQL, values).await.map(drop)
}

async fn insert_event(
    tx: &mut Tx,
    organisation_id: Uuid,
    incident_id: Uuid,
    number: i64,
    change: &Change,
    evidence: &serde_json::Value,
    now: i64,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO incident_events (organisation_id, incident_id, number, at, kind,
            verdict, scope, summary, evidence)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let evidence = serde_json::json!({ "input": evidence, "reasons": change.reasons });
    let values = params![
        organisation_id,
        incident_id,
        number,
        now,
        change.kind.as_str(),
        change.verdict.as_str(),
        change.scope.as_str(),
        &change.summary,
        evidence.to_string()
    ];
    tx.execute(SQL, values).await.map(drop)
}

fn regions_text(regions: &[RegionView]) -> Result<String, StoreError> {
    let regions: Vec<NoticeRegion> = regions
        .iter()
        .map(|region| NoticeRegion {
            region: region.region.clone(),
            state: region.state.as_str().to_owned(),
            since_ms: region.since,
            reason: region.reason.clone(),
            message: region.message.clone(),
        })
        .collect();
    json_text("regions", &regions)
}

fn to_view(region: &NoticeRegion) -> Result<RegionView, StoreError> {
    let state = region.state.parse().map_err(
        |error: <hyperverge_control_core::correlation::RegionState as std::str::FromStr>::Err| {
            StoreError::Column { column: "regions", source: Box::new(error) }
        },
    )?;
    Ok(RegionView {
        region: region.region.clone(),
        region_id: None,
        state,
        since: region.since_ms,
        reason: region.reason.clone(),
        message: region.message.clone(),
    })
}
