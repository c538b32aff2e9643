//! Groups: incidents of one cause, which are told together.
//!
//! A group is told through its lead incident, whose deliveries are the group's; so a
//! lead has one group, and one more if it was told quietly before it was told with a
//! quorum. Members are the incidents that name it.

use super::{Row, StoreError, Tx, listed_id, rows_text};
use crate::params;
use hyperverge_control_core::paging::{Cause, Group};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A group as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGroup {
    pub id: Uuid,
    pub cause: Cause,
    /// One sentence for people.
    pub summary: String,
    pub lead_incident_id: Uuid,
    pub opened_at: i64,
    pub resolved_at: Option<i64>,
    /// Its notice was put in the outbox.
    pub paged: bool,
    /// Only routes that name quiet incidents are told.
    pub quiet: bool,
    /// People know that it hurts everywhere.
    pub told_global: bool,
    /// When its newest member began to hurt.
    pub newest_started_at: i64,
    /// The longest interval of a member, ms.
    pub interval_ms: i64,
}

impl StoredGroup {
    /// The word for how it stands.
    pub fn state(&self) -> &'static str {
        if self.resolved_at.is_some() { "resolved" } else { "open" }
    }

    /// As the planner asks for it.
    pub fn known(&self, unresolved: u32) -> Group {
        Group {
            id: self.id,
            cause: self.cause.clone(),
            lead: self.lead_incident_id,
            newest_started_at: self.newest_started_at,
            interval_ms: self.interval_ms,
            quiet: self.quiet,
            told_global: self.told_global,
            unresolved,
        }
    }
}

/// The open groups, those with the newest members first.
pub async fn open(
    tx: &mut Tx,
    organisation_id: Uuid,
    limit: i64,
) -> Result<Vec<StoredGroup>, StoreError> {
    const SQL: &str = "SELECT * FROM incident_groups
        WHERE organisation_id = $1 AND state = 'open'
        ORDER BY newest_started_at DESC, id LIMIT $2";
    tx.fetch_all(SQL, params![organisation_id, limit]).await?.iter().map(read).collect()
}

/// The open groups that have no member any more whose end is waited for: of those that
/// somebody was told of the told ones, of the others all.
pub async fn over(
    tx: &mut Tx,
    organisation_id: Uuid,
    limit: i64,
) -> Result<Vec<StoredGroup>, StoreError> {
    const SQL: &str = "SELECT * FROM incident_groups g
        WHERE g.organisation_id = $1 AND g.state = 'open' AND NOT EXISTS (SELECT 1 FROM incidents i
            WHERE i.organisation_id = g.organisation_id AND i.group_id = g.id
                AND i.resolved_at IS NULL AND (i.paged OR i.told_quietly OR NOT g.paged))
        ORDER BY g.id LIMIT $2";
    tx.fetch_all(SQL, params![organisation_id, limit]).await?.iter().map(read).collect()
}

/// The monitors behind the leads of the quiet groups that these incidents are in: a
/// member's end depends on what its lead has to tell.
pub async fn quiet_leads(
    tx: &mut Tx,
    organisation_id: Uuid,
    incidents: Vec<Uuid>,
) -> Result<BTreeSet<Uuid>, StoreError> {
    let sql = crate::among!(tx, "SELECT DISTINCT l.subject_id FROM incidents i
        JOIN incident_groups g ON g.organisation_id = i.organisation_id AND g.id = i.group_id
        JOIN incidents l ON l.organisation_id = g.organisation_id AND l.id = g.lead_incident_id
        WHERE i.organisation_id = $1 AND g.state = 'open' AND g.quiet
            AND l.subject_kind = 'monitor' AND i.id ", uuids "$2", "");
    let rows = tx.fetch_all(sql, params![organisation_id, incidents]).await?;
    let parse = |row: &Row| Ok(row.get::<String>("subject_id")?.parse().ok());
    let ids: Vec<Option<Uuid>> = rows.iter().map(parse).collect::<Result<_, StoreError>>()?;
    Ok(ids.into_iter().flatten().collect())
}

/// The group with this id.
pub async fn get(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
) -> Result<Option<StoredGroup>, StoreError> {
    const SQL: &str = "SELECT * FROM incident_groups WHERE organisation_id = $1 AND id = $2";
    tx.fetch_optional(SQL, params![organisation_id, id]).await?.as_ref().map(read).transpose()
}

/// The group that the incident leads.
pub async fn led_by(
    tx: &mut Tx,
    organisation_id: Uuid,
    lead: Uuid,
) -> Result<Option<StoredGroup>, StoreError> {
    const SQL: &str = "SELECT * FROM incident_groups
        WHERE organisation_id = $1 AND lead_incident_id = $2";
    tx.fetch_optional(SQL, params![organisation_id, lead]).await?.as_ref().map(read).transpose()
}

/// The groups with these ids.
pub async fn some(
    tx: &mut Tx,
    organisation_id: Uuid,
    ids: Vec<Uuid>,
) -> Result<Vec<StoredGroup>, StoreError> {
    let sql = crate::among!(tx, "SELECT * FROM incident_groups WHERE organisation_id = $1
        AND id ", uuids "$2", " ORDER BY id");
    tx.fetch_all(sql, params![organisation_id, ids]).await?.iter().map(read).collect()
}

/// A page, the newest first, before the id `before`; open or resolved ones only, if
/// `open` says so.
pub async fn page(
    tx: &mut Tx,
    organisation_id: Uuid,
    open: Option<bool>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<StoredGroup>, StoreError> {
    const SQL: &str = "SELECT * FROM incident_groups WHERE organisation_id = $1 AND id < $2
            AND ($3 = '' OR state = $3)
        ORDER BY id DESC LIMIT $4";
    let state = open.map_or("", |open| if open { "open" } else { "resolved" });
    let values = params![organisation_id, before.unwrap_or(Uuid::max()), state, limit];
    tx.fetch_all(SQL, values).await?.iter().map(read).collect()
}

/// How many members a group has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    pub members: u32,
    /// Those that its notice tells; the others are only listed, and held.
    pub told: u32,
    /// Those of the told that are not over.
    pub unresolved: u32,
    /// Those that are not over, told or listed.
    pub hurting: u32,
    /// When the first of the told began to hurt, and when the last of them that are over was.
    pub started_at: Option<i64>,
    pub resolved_at: Option<i64>,
}

/// The sizes of these groups.
pub async fn sizes(
    tx: &mut Tx,
    organisation_id: Uuid,
    ids: Vec<Uuid>,
) -> Result<BTreeMap<Uuid, Size>, StoreError> {
    let sql = crate::among!(tx, "SELECT group_id, COUNT(*) AS members,
            COUNT(CASE WHEN paged OR told_quietly THEN 1 END) AS told,
            COUNT(CASE WHEN resolved_at IS NULL AND (paged OR told_quietly) THEN 1 END)
                AS unresolved,
            COUNT(CASE WHEN resolved_at IS NULL THEN 1 END) AS hurting,
            MIN(CASE WHEN paged OR told_quietly THEN started_at END) AS started_at,
            MAX(CASE WHEN paged OR told_quietly THEN resolved_at END) AS resolved_at
        FROM incidents WHERE organisation_id = $1 AND group_id ", uuids "$2", " GROUP BY group_id");
    let count = |row: &Row, column| -> Result<u32, StoreError> {
        Ok(u32::try_from(row.get::<i64>(column)?).unwrap_or(u32::MAX))
    };
    let rows = tx.fetch_all(sql, params![organisation_id, ids]).await?;
    rows.iter()
        .map(|row| {
            let size = Size {
                members: count(row, "members")?,
                told: count(row, "told")?,
                unresolved: count(row, "unresolved")?,
                hurting: count(row, "hurting")?,
                started_at: row.get("started_at")?,
                resolved_at: row.get("resolved_at")?,
            };
            Ok((row.get("group_id")?, size))
        })
        .collect()
}

/// Names of a group's members, the first to hurt first.
pub async fn member_names(
    tx: &mut Tx,
    organisation_id: Uuid,
    id: Uuid,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT subject_name FROM incidents
        WHERE organisation_id = $1 AND group_id = $2 ORDER BY started_at, id LIMIT $3";
    let rows = tx.fetch_all(SQL, params![organisation_id, id, limit]).await?;
    rows.iter().map(|row| row.get("subject_name")).collect()
}

/// Opens a group, and says its id. A lead that led one of its kind before takes that up
/// again: nobody's notice fails because of what a group was.
pub async fn insert(
    tx: &mut Tx,
    organisation_id: Uuid,
    new: &StoredGroup,
) -> Result<Uuid, StoreError> {
    const SQL: &str = "INSERT INTO incident_groups (organisation_id, id, cause_kind, cause_value,
            summary, lead_incident_id, state, opened_at, paged, quiet, told_global,
            newest_started_at, interval_ms)
        VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $9, $10, $11, $12)
        ON CONFLICT (organisation_id, lead_incident_id, quiet) DO UPDATE SET
            cause_kind = excluded.cause_kind, cause_value = excluded.cause_value,
            summary = excluded.summary, state = excluded.state, opened_at = excluded.opened_at,
            resolved_at = NULL, paged = excluded.paged, told_global = excluded.told_global,
            newest_started_at = excluded.newest_started_at, interval_ms = excluded.interval_ms
        RETURNING id";
    let values = params![
        organisation_id,
        new.id,
        new.cause.kind.as_str(),
        &new.cause.value,
        &new.summary,
        new.lead_incident_id,
        new.opened_at,
        new.paged,
        new.quiet,
        new.told_global,
        new.newest_started_at,
        new.interval_ms
    ];
    let row = tx.fetch_optional(SQL, values).await?;
    row.map_or(Ok(new.id), |row| row.get("id"))
}

/// Writes what changes of a group while it is open.
pub async fn update(
    tx: &mut Tx,
    organisation_id: Uuid,
    group: &StoredGroup,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE incident_groups SET summary = $3, paged = $4, told_global = $5,
            newest_started_at = $6, interval_ms = $7
        WHERE organisation_id = $1 AND id = $2";
    let values = params![
        organisation_id,
        group.id,
        &group.summary,
        group.paged,
        group.told_global,
        group.newest_started_at,
        group.interval_ms
    ];
    tx.execute(SQL, values).await.map(drop)
}

/// Ends groups. One that nobody was told of, and that nobody is in any more, was none.
pub async fn close(
    tx: &mut Tx,
    organisation_id: Uuid,
    ids: Vec<Uuid>,
    now: i64,
) -> Result<(), StoreError> {
    let none = crate::among!(tx, "DELETE FROM incident_groups
        WHERE organisation_id = $1 AND state = 'open' AND NOT paged
            AND NOT EXISTS (SELECT 1 FROM incidents i
                WHERE i.organisation_id = incident_groups.organisation_id
                    AND i.group_id = incident_groups.id)
            AND id ", uuids "$2", "");
    let sql = crate::among!(tx, "UPDATE incident_groups SET state = 'resolved', resolved_at = $2
        WHERE organisation_id = $1 AND state = 'open' AND id ", uuids "$3", "");
    tx.execute(none, params![organisation_id, ids.clone()]).await?;
    tx.execute(sql, params![organisation_id, now, ids]).await.map(drop)
}

/// A line for an incident's timeline, and whether the incident is told with it.
#[derive(Debug, Clone)]
pub struct Note {
    pub incident_id: Uuid,
    /// `paged`, `held` or `grouped`.
    pub kind: &'static str,
    pub summary: String,
    pub evidence: serde_json::Value,
    /// Its opening is told now.
    pub paged: bool,
    /// Routes were told of it below the quorum.
    pub told_quietly: bool,
}

/// Writes notes in their order, each under the next number of its incident.
pub async fn note(
    tx: &mut Tx,
    organisation_id: Uuid,
    notes: &[Note],
    now: i64,
) -> Result<(), StoreError> {
    let number = crate::listed!(tx, "$2",
        [incident_id uuid, paged boolean, told_quietly boolean],
        "UPDATE incidents SET last_event = incidents.last_event + 1, paged = incidents.paged OR l.paged,
            told_quietly = incidents.told_quietly OR l.told_quietly
        FROM listed l WHERE incidents.organisation_id = $1 AND incidents.id = l.incident_id");
    let event = crate::listed!(tx, "$2",
        [incident_id uuid, kind text, summary text, evidence text],
        "INSERT INTO incident_events
            (organisation_id, incident_id, number, at, kind, verdict, scope, summary, evidence)
        SELECT i.organisation_id, i.id, i.last_event, $3, l.kind, i.verdict, i.scope, l.summary, l.evidence
        FROM listed l JOIN incidents i ON i.organisation_id = $1 AND i.id = l.incident_id");
    for turn in turns(notes) {
        let rows = || turn.iter().map(|note| row(note));
        tx.execute(number, params![organisation_id, rows_text(rows())]).await?;
        tx.execute(event, params![organisation_id, rows_text(rows()), now]).await?;
    }
    Ok(())
}

/// Makes incidents members of a group whose notice tells them; `quiet` as the group is.
pub async fn tell(
    tx: &mut Tx,
    organisation_id: Uuid,
    group: Uuid,
    quiet: bool,
    incidents: Vec<Uuid>,
) -> Result<(), StoreError> {
    let sql = crate::among!(tx, "UPDATE incidents SET group_id = $2, paged = paged OR $3,
            told_quietly = told_quietly OR $4
        WHERE organisation_id = $1 AND id ", uuids "$5", "");
    tx.execute(sql, params![organisation_id, group, !quiet, quiet, incidents]).await.map(drop)
}

/// Lists incidents in a group, or in none.
pub async fn list(
    tx: &mut Tx,
    organisation_id: Uuid,
    group: Option<Uuid>,
    incidents: Vec<Uuid>,
) -> Result<(), StoreError> {
    let sql = crate::among!(tx, "UPDATE incidents SET group_id = $2
        WHERE organisation_id = $1 AND id ", uuids "$3", "");
    tx.execute(sql, params![organisation_id, group, incidents]).await.map(drop)
}

/// The notes in statements: each incident stands once in one.
fn turns(notes: &[Note]) -> Vec<Vec<&Note>> {
    let mut turns: Vec<Vec<&Note>> = Vec::new();
    let mut written: BTreeMap<Uuid, usize> = BTreeMap::new();
    for note in notes {
        let turn = written.entry(note.incident_id).or_default();
        if turns.len() == *turn {
            turns.push(Vec::new());
        }
        turns[*turn].push(note);
        *turn += 1;
    }
    turns
}

fn row(note: &Note) -> serde_json::Value {
    json!({
        "incident_id": listed_id(note.incident_id),
        "kind": note.kind,
        "summary": note.summary,
        "evidence": note.evidence.to_string(),
        "paged": note.paged,
        "told_quietly": note.told_quietly,
    })
}

fn read(row: &Row) -> Result<StoredGroup, StoreError> {
    Ok(StoredGroup {
        id: row.get("id")?,
        cause: Cause { kind: row.word("cause_kind")?, value: row.get("cause_value")? },
        summary: row.get("summary")?,
        lead_incident_id: row.get("lead_incident_id")?,
        opened_at: row.get("opened_at")?,
        resolved_at: row.get("resolved_at")?,
        paged: row.get("paged")?,
        quiet: row.get("quiet")?,
        told_global: row.get("told_global")?,
        newest_started_at: row.get("newest_started_at")?,
        interval_ms: row.get("interval_ms")?,
    })
}
