//! Step 6: incidents and their timelines.
//!
//! A partial unique index holds the promise that a subject has one open incident.
//! What changes an incident locks its row first; every event takes the next
//! number of that row, so a timeline has no gaps.

mod change;

use super::{Row, StoreError, Tx, users};
use crate::params;
use hyperverge_control_core::correlation::{Scope, Verdict};
use hyperverge_control_core::incident::{IncidentState, Severity, SubjectKind};
use hyperverge_control_core::notification::NoticeRegion;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub use change::{NewChange, Subject, open_of, open_of_all, record, record_all};

/// An incident as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    pub id: Uuid,
    pub subject_kind: SubjectKind,
    pub subject_id: String,
    pub subject_name: String,
    pub state: IncidentState,
    pub verdict: Verdict,
    pub scope: Scope,
    pub severity: Severity,
    /// The reason most regions give.
    pub cause: Option<String>,
    /// One sentence for people.
    pub summary: String,
    pub regions: Vec<NoticeRegion>,
    pub group_id: Option<Uuid>,
    /// When the target began to hurt; once a quorum was reached, when that was.
    pub started_at: i64,
    /// When we knew, perhaps below the quorum.
    pub opened_at: i64,
    pub resolved_at: Option<i64>,
    pub acknowledged_at: Option<i64>,
    pub acknowledged_by: Option<Uuid>,
    /// Number of the newest event.
    pub last_event: i64,
    /// An opening notice was put in the outbox.
    pub paged: bool,
    /// Whether routes were told of it below the quorum.
    pub told_quietly: bool,
    /// Whether its resolution was held once, because it flaps.
    pub flaps: bool,
}

/// A line of an incident's timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// 1 upward.
    pub number: i64,
    pub at: i64,
    pub kind: String,
    pub verdict: Verdict,
    pub scope: Scope,
    pub summary: String,
    /// The planner's input and reasons.
    pub evidence: serde_json::Value,
}

/// Which incidents a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `Some(true)`: resolved ones; `Some(false)`: open or acknowledged ones.
    pub resolved: Option<bool>,
    /// Only those in this state.
    pub state: Option<IncidentState>,
    pub subject: Option<(SubjectKind, String)>,
    pub subject_kind: Option<SubjectKind>,
    pub scope: Option<Scope>,
    pub severity: Option<Severity>,
    pub group: Option<Uuid>,
    /// Only those that lasted at this time or later, ms.
    pub since: Option<i64>,
    /// Only those that began before this time, ms.
    pub until: Option<i64>,
}

/// The statement of [`page`], narrowed by a condition that an index can be chosen by:
/// without one, a list of what is open would read everything that ever was.
macro_rules! page {
    ($narrowed:literal) => {
        concat!(
            "SELECT * FROM incidents WHERE organisation_id = $1 AND id < $2 AND ",
            $narrowed,
            " AND ($3 = 0 OR ($3 = 1 AND resolved_at IS NULL)
                    OR ($3 = 2 AND resolved_at IS NOT NULL))
                AND ($4 = '' OR (subject_kind = $4 AND subject_id = $5))
                AND ($7 = '' OR state = $7)
                AND ($8 = '' OR subject_kind = $8)
                AND ($9 = '' OR scope = $9)
                AND ($10 = '' OR severity = $10)
                AND ($11 = $12 OR group_id = $11)
                AND (resolved_at IS NULL OR resolved_at >= $13)
                AND (started_at < $14 OR opened_at < $14)
            ORDER BY id DESC LIMIT $6"
        )
    };
}

/// A page of incidents, newest first by id (which rises with time), before `before`.
pub async fn page(
    tx: &mut Tx,
    organisation_id: Uuid,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Incident>, StoreError> {
    let over = filter.state.map(|state| state == IncidentState::Resolved);
    let sql = match filter.resolved.or(over) {
        Some(false) => page!("resolved_at IS NULL"),
        _ if filter.group.is_some() => page!("group_id = $11"),
        _ if filter.subject.is_some() => page!("subject_kind = $4 AND subject_id = $5"),
        _ => page!("TRUE"),
    };
    let resolved: i64 = match filter.resolved {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    };
    let (kind, subject) = match &filter.subject {
        Some((kind, id)) => (kind.as_str(), id.as_str()),
        None => ("", ""),
    };
    let before = before.unwrap_or(Uuid::max());
    let mut values = params![organisation_id, before, resolved, kind, subject, limit];
    values.extend(params![
        filter.state.map_or("", IncidentState::as_str),
        filter.subject_kind.map_or("", SubjectKind::as_str),
        filter.scope.map_or("", Scope::as_str),
        filter.severity.map_or("", Severity::as_str),
        filter.group.unwrap_or(Uuid::nil()),
        Uuid::nil(),
        filter.since.unwrap_or(i64::MIN),
        filter.until.unwrap_or(i64::MAX),
    ]);
    tx.fetch_all(sql, values).await?.iter().map(read).collect()
}

/// Of each of these groups the members that hurt first, up to `most`; by group, the
/// first first.
pub async fn of_groups(
    tx: &mut Tx,
    organisation_id: Uuid,
    groups: Vec<Uuid>,
    most: i64,
) -> Result<Vec<Incident>, StoreError> {
    let sql = crate::among!(tx, "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (
                PARTITION BY group_id ORDER BY started_at, id) AS place
            FROM incidents WHERE organisation_id = $1 AND group_id ", uuids "$2", ") AS members
        WHERE place <= $3 ORDER BY group_id, place");
    let rows = tx.fetch_all(sql, params![organisation_id, groups, most]).await?;
    rows.iter().map(read).collect()
}

/// One incident.
pub async fn get(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<Incident>, StoreError> {
    const SQL: &str = "SELECT * FROM incidents WHERE organisation_id = $1 AND id = $2";
    tx.fetch_optional(SQL, params![organisation_id, id]).await?.as_ref().map(read).transpose()
}

/// A page of an incident's timeline in order, after event `after` (0: from the beginning).
pub async fn timeline(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    const SQL: &str = "SELECT * FROM incident_events
        WHERE organisation_id = $1 AND incident_id = $2 AND number > $3 ORDER BY number LIMIT $4";
    let rows = tx.fetch_all(SQL, params![organisation_id, id, after, limit]).await?;
    rows.iter().map(read_event).collect()
}

/// The newest events of an incident's timeline by `until`, in order.
pub async fn newest(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    until: i64,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    const SQL: &str = "SELECT * FROM incident_events
        WHERE organisation_id = $1 AND incident_id = $2 AND at <= $3 ORDER BY number DESC LIMIT $4";
    let rows = tx.fetch_all(SQL, params![organisation_id, id, until, limit]).await?;
    rows.iter().rev().map(read_event).collect()
}

/// As [`newest`], of what was decided of the incident itself, not of whom to tell.
pub async fn decisions(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    until: i64,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    const SQL: &str = "SELECT * FROM incident_events
        WHERE organisation_id = $1 AND incident_id = $2 AND at <= $3
            AND kind IN ('opened', 'widened', 'narrowed', 'changed', 'resolved')
        ORDER BY number DESC LIMIT $4";
    let rows = tx.fetch_all(SQL, params![organisation_id, id, until, limit]).await?;
    rows.iter().rev().map(read_event).collect()
}

fn read_event(row: &Row) -> Result<Event, StoreError> {
    Ok(Event {
        number: row.get("number")?,
        at: row.get("at")?,
        kind: row.get("kind")?,
        verdict: row.word("verdict")?,
        scope: row.word("scope")?,
        summary: row.get("summary")?,
        evidence: row.json("evidence")?,
    })
}

/// Notes that `user_id` takes care of it; false when it is resolved, acknowledged
/// already, or not there.
pub async fn acknowledge(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    user_id: Uuid,
    now: i64,
) -> Result<bool, StoreError> {
    const INCIDENT: &str = "UPDATE incidents SET state = 'acknowledged', acknowledged_at = $3,
            acknowledged_by = $4, last_event = last_event + 1
        WHERE organisation_id = $1 AND id = $2 AND state = 'open'";
    if tx.execute(INCIDENT, params![organisation_id, id, now, user_id]).await? == 0 {
        return Ok(false);
    }
    let user = users::get(tx, organisation_id, user_id).await?;
    let who = user.map_or_else(|| "somebody".to_owned(), |user| user.email);
    let summary = format!("{who} takes care of it");
    insert_event_of(tx, organisation_id, id, user_id, ("acknowledged", &summary), now).await?;
    Ok(true)
}

/// Writes what somebody did, or said, as the newest event of an incident whose
/// `last_event` counts it already.
pub(super) async fn insert_event_of(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    user_id: Uuid,
    (kind, summary): (&str, &str),
    now: i64,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO incident_events (organisation_id, incident_id, number, at,
            kind, verdict, scope, summary, evidence)
        SELECT organisation_id, id, last_event, $3, $4, verdict, scope, $5, $6
        FROM incidents WHERE organisation_id = $1 AND id = $2";
    let evidence = serde_json::json!({ "user_id": user_id }).to_string();
    tx.execute(SQL, params![organisation_id, id, now, kind, summary, evidence]).await.map(drop)
}

/// The open incidents of monitors that are down by their quorum, the newest first.
pub async fn hurting(
    tx: &mut Tx,
    organisation_id: Uuid,
    limit: i64,
) -> Result<Vec<Incident>, StoreError> {
    const SQL: &str = "SELECT * FROM incidents WHERE organisation_id = $1
            AND subject_kind = 'monitor' AND resolved_at IS NULL AND verdict = 'down'
        ORDER BY id DESC LIMIT $2";
    tx.fetch_all(SQL, params![organisation_id, limit]).await?.iter().map(read).collect()
}

/// The incidents with these ids.
pub async fn these(
    tx: &mut Tx,
    organisation_id: Uuid,
    ids: Vec<Uuid>,
) -> Result<Vec<Incident>, StoreError> {
    let sql = crate::among!(tx, "SELECT * FROM incidents WHERE organisation_id = $1
        AND id ", uuids "$2", "");
    tx.fetch_all(sql, params![organisation_id, ids]).await?.iter().map(read).collect()
}

/// The last time a monitor was down by its quorum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Down {
    /// Its incident is open, and down.
    pub pages_now: bool,
    /// When that incident was over; `None` while it is open, though perhaps below the quorum.
    pub over_at: Option<i64>,
}

/// The last time each of these monitors was down by its quorum.
pub async fn downs(
    tx: &mut Tx,
    organisation_id: Uuid,
    monitor_ids: Vec<Uuid>,
) -> Result<BTreeMap<Uuid, Down>, StoreError> {
    let sql = crate::among!(tx, "SELECT subject_id, MAX(resolved_at) AS over_at,
            COUNT(*) - COUNT(resolved_at) AS open,
            COUNT(CASE WHEN resolved_at IS NULL AND verdict = 'down' THEN 1 END) AS down
        FROM incidents WHERE organisation_id = $1 AND subject_kind = 'monitor'
            AND (verdict = 'down' OR paged) AND subject_id ", texts "$2", " GROUP BY subject_id");
    let ids: Vec<String> = monitor_ids.iter().map(Uuid::to_string).collect();
    let rows = tx.fetch_all(sql, params![organisation_id, ids]).await?;
    let mut found = BTreeMap::new();
    for row in &rows {
        let Ok(id) = row.get::<String>("subject_id")?.parse() else { continue };
        let open = row.get::<i64>("open")? > 0;
        let over_at: Option<i64> = row.get("over_at")?;
        let pages_now = row.get::<i64>("down")? > 0;
        found.insert(id, Down { pages_now, over_at: over_at.filter(|_| !open) });
    }
    Ok(found)
}

/// The monitors that these incidents are about.
pub async fn monitors_of(
    tx: &mut Tx,
    organisation_id: Uuid,
    ids: Vec<Uuid>,
) -> Result<BTreeSet<Uuid>, StoreError> {
    let sql = crate::among!(tx, "SELECT subject_id FROM incidents WHERE organisation_id = $1
            AND subject_kind = 'monitor' AND id ", uuids "$2", "");
    let rows = tx.fetch_all(sql, params![organisation_id, ids]).await?;
    let parse = |row: &Row| Ok(row.get::<String>("subject_id")?.parse().ok());
    let ids: Vec<Option<Uuid>> = rows.iter().map(parse).collect::<Result<_, StoreError>>()?;
    Ok(ids.into_iter().flatten().collect())
}

/// The open incidents about agents and regions: subject and cause.
pub async fn open_about_us(
    tx: &mut Tx,
    organisation_id: Uuid,
) -> Result<Vec<(SubjectKind, String, Option<String>)>, StoreError> {
    const SQL: &str = "SELECT subject_kind, subject_id, cause FROM incidents
        WHERE organisation_id = $1 AND subject_kind <> 'monitor' AND resolved_at IS NULL";
    let rows = tx.fetch_all(SQL, params![organisation_id]).await?;
    rows.iter()
        .map(|row| Ok((row.word("subject_kind")?, row.get("subject_id")?, row.get("cause")?)))
        .collect()
}

fn read(row: &Row) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: row.get("id")?,
        subject_kind: row.word("subject_kind")?,
        subject_id: row.get("subject_id")?,
        subject_name: row.get("subject_name")?,
        state: row.word("state")?,
        verdict: row.word("verdict")?,
        scope: row.word("scope")?,
        severity: row.word("severity")?,
        cause: row.get("cause")?,
        summary: row.get("summary")?,
        regions: row.json("regions")?,
        group_id: row.get("group_id")?,
        started_at: row.get("started_at")?,
        opened_at: row.get("opened_at")?,
        resolved_at: row.get("resolved_at")?,
        acknowledged_at: row.get("acknowledged_at")?,
        acknowledged_by: row.get("acknowledged_by")?,
        last_event: row.get("last_event")?,
        paged: row.get("paged")?,
        told_quietly: row.get("told_quietly")?,
        flaps: row.get("flaps")?,
    })
}
