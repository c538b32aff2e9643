//! Reading the open incidents of subjects, and writing what the planner decided.
//!
//! An upstream that fails takes thousands of monitors with it, all of them in one
//! transaction of ingest: whatever their number, they are read and written by a handful
//! of statements.

use super::{Incident, read};
use crate::clock;
use crate::params;
use crate::store::intents::{self, Intent};
use crate::store::{StoreError, Tx, json_text, listed_id, rows_text};
use hyperverge_control_core::correlation::{RegionView, Scope, Verdict};
use hyperverge_control_core::incident::{Change, EventKind, Open, SubjectKind};
use hyperverge_control_core::notification::{NoticeKind, NoticeRegion};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Changes of one statement.
const CHANGES: usize = 500;

/// What an incident is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub kind: SubjectKind,
    pub id: String,
    pub name: String,
}

/// A change to the incident of a subject. `incident` is what [`open_of`] locked.
#[derive(Debug)]
pub struct NewChange {
    pub subject: Subject,
    pub incident: Option<Incident>,
    pub change: Change,
    pub evidence: Value,
}

/// As [`open_of_all`], of one subject.
pub async fn open_of(
    tx: &mut Tx,
    organisation_id: Uuid,
    kind: SubjectKind,
    subject_id: &str,
) -> Result<Option<(Incident, Open)>, StoreError> {
    let ids = vec![subject_id.to_owned()];
    Ok(open_of_all(tx, organisation_id, kind, ids).await?.remove(subject_id))
}

/// The open incidents of these subjects, by subject, locked until the commit, with what a
/// change of each depends on.
pub async fn open_of_all(
    tx: &mut Tx,
    organisation_id: Uuid,
    kind: SubjectKind,
    subject_ids: Vec<String>,
) -> Result<BTreeMap<String, (Incident, Open)>, StoreError> {
    let plain = crate::among!(tx, "SELECT * FROM incidents WHERE organisation_id = $1
        AND subject_kind = $2 AND resolved_at IS NULL AND subject_id ", texts "$3",
        " ORDER BY subject_id");
    let locking = crate::among!(tx, "SELECT * FROM incidents WHERE organisation_id = $1
        AND subject_kind = $2 AND resolved_at IS NULL AND subject_id ", texts "$3",
        " ORDER BY subject_id FOR UPDATE");
    let sql = tx.for_update(plain, locking);
    let rows = tx.fetch_all(sql, params![organisation_id, kind.as_str(), subject_ids]).await?;
    let mut found: BTreeMap<Uuid, (Incident, Open)> = BTreeMap::new();
    for row in &rows {
        let incident = read(row)?;
        let open = begun(&incident)?;
        found.insert(incident.id, (incident, open));
    }
    if !found.is_empty() {
        past(tx, organisation_id, &mut found).await?;
        waiting(tx, organisation_id, &mut found).await?;
        told(tx, organisation_id, &mut found).await?;
    }
    Ok(found.into_values().map(|(one, open)| (one.subject_id.clone(), (one, open))).collect())
}

/// What the row alone says.
fn begun(incident: &Incident) -> Result<Open, StoreError> {
    Ok(Open {
        verdict: incident.verdict,
        scope: incident.scope,
        cause: incident.cause.clone(),
        regions: incident.regions.iter().map(to_view).collect::<Result<_, _>>()?,
        started_at: incident.started_at,
        opened_at: incident.opened_at,
        changed_at: incident.opened_at,
        paged: incident.paged,
        opening_waits: false,
        opening_held: false,
        widening_waits: false,
        told: None,
        flaps: incident.flaps,
        told_quietly: incident.told_quietly,
        widest_down: None,
    })
}

/// What their timelines say.
async fn past(
    tx: &mut Tx,
    organisation_id: Uuid,
    found: &mut BTreeMap<Uuid, (Incident, Open)>,
) -> Result<(), StoreError> {
    let sql = crate::among!(tx, "SELECT incident_id, scope, verdict, MAX(at) AS at
        FROM incident_events WHERE organisation_id = $1 AND incident_id ", uuids "$2",
        " GROUP BY incident_id, scope, verdict");
    let ids: Vec<Uuid> = found.keys().copied().collect();
    for row in &tx.fetch_all(sql, params![organisation_id, ids]).await? {
        let id: Uuid = row.get("incident_id")?;
        let Some((_, open)) = found.get_mut(&id) else { continue };
        open.changed_at = open.changed_at.max(row.get("at")?);
        if row.get::<String>("verdict")? == "down" {
            open.widest_down = open.widest_down.max(Some(row.word::<Scope>("scope")?));
        }
    }
    Ok(())
}

/// What of them waits to be told.
async fn waiting(
    tx: &mut Tx,
    organisation_id: Uuid,
    found: &mut BTreeMap<Uuid, (Incident, Open)>,
) -> Result<(), StoreError> {
    let sql = crate::among!(tx, "SELECT incident_id, kind, quiet, hold_reason FROM page_intents
        WHERE organisation_id = $1 AND settled_at IS NULL AND kind IN ('opened', 'widened')
            AND incident_id ", uuids "$2", "");
    let ids: Vec<Uuid> = found.keys().copied().collect();
    for row in &tx.fetch_all(sql, params![organisation_id, ids]).await? {
        let id: Uuid = row.get("incident_id")?;
        let Some((_, open)) = found.get_mut(&id) else { continue };
        match (row.word("kind")?, row.get("quiet")?) {
            (NoticeKind::Opened, true) => open.told_quietly = true,
            (NoticeKind::Opened, false) => {
                open.opening_waits = true;
                open.opening_held |= row.get::<Option<String>>("hold_reason")?.is_some();
            }
            (NoticeKind::Widened, false) => open.widening_waits = true,
            (NoticeKind::Widened | NoticeKind::Resolved, _) => {}
        }
    }
    Ok(())
}

/// The widest scope that each incident's own notices told since it was last below the
/// quorum; where there are none, that with which it came into a group.
async fn told(
    tx: &mut Tx,
    organisation_id: Uuid,
    found: &mut BTreeMap<Uuid, (Incident, Open)>,
) -> Result<(), StoreError> {
    let sql = crate::among!(tx, "SELECT DISTINCT e.incident_id, e.kind, e.scope
        FROM incident_events e
        WHERE e.organisation_id = $1 AND e.kind IN ('paged', 'grouped')
            AND e.number > (SELECT COALESCE(MAX(b.number), 0) FROM incident_events b
                WHERE b.organisation_id = $1 AND b.incident_id = e.incident_id
                    AND b.verdict <> 'down')
            AND e.incident_id ", uuids "$2", "");
    let asked = found.values().filter(|(one, _)| one.paged && one.verdict == Verdict::Down);
    let ids: Vec<Uuid> = asked.map(|(one, _)| one.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut widest: BTreeMap<Uuid, (Option<Scope>, Option<Scope>)> = BTreeMap::new();
    for row in &tx.fetch_all(sql, params![organisation_id, ids]).await? {
        let (paged, grouped) = widest.entry(row.get("incident_id")?).or_default();
        let own = row.get::<String>("kind")? == "paged";
        let widest = if own { paged } else { grouped };
        *widest = (*widest).max(Some(row.word("scope")?));
    }
    for (id, (paged, grouped)) in widest {
        if let Some((_, open)) = found.get_mut(&id) {
            open.told = paged.or(grouped);
        }
    }
    Ok(())
}

/// As [`record_all`], of one change; the incident's id.
pub async fn record(
    tx: &mut Tx,
    organisation_id: Uuid,
    subject: &Subject,
    incident: Option<&Incident>,
    change: &Change,
    evidence: &Value,
    now: i64,
) -> Result<Uuid, StoreError> {
    let change = NewChange {
        subject: subject.clone(),
        incident: incident.cloned(),
        change: change.clone(),
        evidence: evidence.clone(),
    };
    let numbered = Numbered::new(&change);
    write(tx, organisation_id, std::slice::from_ref(&numbered), now).await?;
    Ok(numbered.id)
}

/// Writes changes of different subjects' incidents: the rows, an event of each with its
/// evidence, and what each asks to be told.
/// [`StoreError::Conflict`] when another transaction opened one meanwhile; the
/// whole transaction is then tried again.
pub async fn record_all(
    tx: &mut Tx,
    organisation_id: Uuid,
    changes: &[NewChange],
    now: i64,
) -> Result<(), StoreError> {
    let numbered: Vec<Numbered<'_>> = changes.iter().map(Numbered::new).collect();
    for some in numbered.chunks(CHANGES) {
        write(tx, organisation_id, some, now).await?;
    }
    Ok(())
}

async fn write(
    tx: &mut Tx,
    organisation_id: Uuid,
    changes: &[Numbered<'_>],
    now: i64,
) -> Result<(), StoreError> {
    insert(tx, organisation_id, changes, now).await?;
    update(tx, organisation_id, changes, now).await?;
    insert_events(tx, organisation_id, changes, now).await?;
    let intents: Vec<Intent> =
        changes.iter().filter_map(|one| one.intent(organisation_id, now)).collect();
    intents::insert_all(tx, organisation_id, &intents).await.map(drop)
}

/// A change, with the incident and the number of its event.
struct Numbered<'a> {
    id: Uuid,
    number: i64,
    of: &'a NewChange,
}

impl<'a> Numbered<'a> {
    fn new(of: &'a NewChange) -> Self {
        match &of.incident {
            Some(known) => Self { id: known.id, number: known.last_event + 1, of },
            None => Self { id: clock::new_id(), number: 1, of },
        }
    }

    fn intent(&self, organisation_id: Uuid, now: i64) -> Option<Intent> {
        self.of.change.intent.map(|asked| Intent {
            organisation_id,
            incident_id: self.id,
            event_number: self.number,
            kind: asked.kind,
            quiet: asked.quiet,
            due_at: asked.due_at,
            created_at: now,
        })
    }

    /// What of an incident's row a change sets.
    fn columns(&self) -> Result<Value, StoreError> {
        let change = &self.of.change;
        Ok(json!({
            "id": listed_id(self.id),
            "verdict": change.verdict.as_str(),
            "scope": change.scope.as_str(),
            "severity": change.severity.as_str(),
            "cause": &change.cause,
            "summary": &change.summary,
            "regions": regions_text(&change.regions)?,
        }))
    }
}

async fn insert(
    tx: &mut Tx,
    organisation_id: Uuid,
    changes: &[Numbered<'_>],
    now: i64,
) -> Result<(), StoreError> {
    let sql = crate::listed!(tx, "$3",
        [id uuid, subject_kind text, subject_id text, subject_name text, verdict text, scope text,
         severity text, cause text, summary text, regions text, started_at bigint],
        "INSERT INTO incidents (organisation_id, id, subject_kind, subject_id, subject_name, state,
            verdict, scope, severity, cause, summary, regions, started_at, opened_at, last_event,
            paged)
        SELECT $1, l.id, l.subject_kind, l.subject_id, l.subject_name, 'open', l.verdict, l.scope,
            l.severity, l.cause, l.summary, l.regions, l.started_at, $2, 1, FALSE FROM listed l");
    let mut rows = Vec::new();
    for one in changes.iter().filter(|one| one.of.incident.is_none()) {
        let mut row = one.columns()?;
        let subject = &one.of.subject;
        row["subject_kind"] = subject.kind.as_str().into();
        row["subject_id"] = subject.id.as_str().into();
        row["subject_name"] = subject.name.as_str().into();
        row["started_at"] = one.of.change.started_at.into();
        rows.push(row);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let values = params![organisation_id, now, rows_text(rows.into_iter())];
    tx.execute(sql, values).await.map(drop)
}

async fn update(
    tx: &mut Tx,
    organisation_id: Uuid,
    changes: &[Numbered<'_>],
    now: i64,
) -> Result<(), StoreError> {
    let sql = crate::listed!(tx, "$2",
        [id uuid, verdict text, scope text, severity text, cause text, summary text, regions text,
         resolved_at bigint, started_at bigint, flaps boolean],
        "UPDATE incidents SET verdict = l.verdict, scope = l.scope, severity = l.severity,
            cause = l.cause, summary = l.summary, regions = l.regions,
            resolved_at = l.resolved_at, last_event = last_event + 1,
            state = CASE WHEN l.resolved_at IS NULL THEN state ELSE 'resolved' END,
            started_at = l.started_at, flaps = incidents.flaps OR l.flaps
        FROM listed l WHERE incidents.organisation_id = $1 AND incidents.id = l.id");
    let mut rows = Vec::new();
    for one in changes.iter().filter(|one| one.of.incident.is_some()) {
        let mut row = one.columns()?;
        let over = one.of.change.kind == EventKind::Resolved;
        row["resolved_at"] = over.then_some(now).into();
        row["started_at"] = one.of.change.started_at.into();
        row["flaps"] = (one.of.change.kind == EventKind::Held).into();
        rows.push(row);
    }
    if rows.is_empty() {
        return Ok(());
    }
    tx.execute(sql, params![organisation_id, rows_text(rows.into_iter())]).await.map(drop)
}

async fn insert_events(
    tx: &mut Tx,
    organisation_id: Uuid,
    changes: &[Numbered<'_>],
    now: i64,
) -> Result<(), StoreError> {
    let sql = crate::listed!(tx, "$3",
        [incident_id uuid, number bigint, kind text, verdict text, scope text, summary text,
         evidence text],
        "INSERT INTO incident_events (organisation_id, incident_id, number, at, kind, verdict,
            scope, summary, evidence)
        SELECT $1, l.incident_id, l.number, $2, l.kind, l.verdict, l.scope, l.summary, l.evidence
        FROM listed l");
    let rows = changes.iter().map(|one| {
        let change = &one.of.change;
        let evidence = json!({ "input": one.of.evidence, "reasons": change.reasons });
        json!({
            "incident_id": listed_id(one.id),
            "number": one.number,
            "kind": change.kind.as_str(),
            "verdict": change.verdict.as_str(),
            "scope": change.scope.as_str(),
            "summary": &change.summary,
            "evidence": evidence.to_string(),
        })
    });
    tx.execute(sql, params![organisation_id, now, rows_text(rows)]).await.map(drop)
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
