//! `GET /incidents/{id}/post-mortem`.

use super::people::People;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Viewer;
use crate::limits;
use crate::store::history::{self, Telling};
use crate::store::incidents::{self, Event, Incident};
use crate::store::{Tx, channels, comments, deliveries, groups, notices};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use hyperverge_control_core::correlation::RegionView;
use hyperverge_control_core::notification::in_words;
use hyperverge_control_core::post_mortem::{self, Comment, Group, Member, Record, Told, compose};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A post-mortem of the incident as Markdown: summary, impact, timeline, who was
/// told what and how late, comments, and what is left for people to fill in.
#[utoipa::path(get, path = "/incidents/{id}/post-mortem", tag = "incidents", operation_id = "get_incident_post_mortem",
    params(("id" = Uuid, Path, description = "The incident")),
    responses((status = 200, content_type = "text/markdown", body = String)))]
pub(super) async fn post_mortem(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Response, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.read().await?;
    let now = tx.now().await?;
    let incident = incidents::get(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("incident"))?;
    let record = record(&mut tx, organisation, incident).await?;
    let markdown = compose(&record, now);
    Ok(([(CONTENT_TYPE, "text/markdown; charset=utf-8")], markdown).into_response())
}

async fn record(tx: &mut Tx, organisation: Uuid, incident: Incident) -> Result<Record, Problem> {
    let id = incident.id;
    let mut cut = Vec::new();
    let limit = limits::POST_MORTEM_EVENTS;
    let mut events = incidents::timeline(tx, organisation, id, 0, limit + 1).await?;
    if events.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
        events.pop();
        cut.push("events");
    }
    let written = comments::page(tx, organisation, id, 0, limits::COMMENTS).await?;
    let told = told(tx, organisation, &incident, &events, &mut cut).await?;
    let authors = written.iter().map(|comment| comment.author_id);
    let people = People::of(tx, organisation, authors.chain(incident.acknowledged_by)).await?;
    let target =
        notices::target(tx, organisation, incident.subject_kind, &incident.subject_id).await?;
    let group = match incident.group_id {
        Some(group) => shared_cause(tx, organisation, group, &mut cut).await?,
        None => None,
    };
    Ok(Record {
        id: id.to_string(),
        subject: (incident.subject_kind.to_string(), incident.subject_name),
        target,
        state: incident.state.to_string(),
        verdict: incident.verdict.to_string(),
        scope: incident.scope.to_string(),
        severity: incident.severity.to_string(),
        cause: incident.cause.as_deref().map(|cause| in_words(cause).to_owned()),
        summary: incident.summary,
        started_at: incident.started_at,
        opened_at: incident.opened_at,
        resolved_at: incident.resolved_at,
        acknowledged: incident.acknowledged_at.map(|at| {
            (at, incident.acknowledged_by.map_or_else(String::new, |id| people.name(id)))
        }),
        events: events.into_iter().map(event).collect(),
        told,
        comments: written
            .into_iter()
            .map(|comment| Comment {
                at: comment.created_at,
                author: people.name(comment.author_id),
                text: comment.text,
            })
            .collect(),
        group,
        cut,
    })
}

async fn shared_cause(
    tx: &mut Tx,
    organisation: Uuid,
    id: Uuid,
    cut: &mut Vec<&'static str>,
) -> Result<Option<Group>, Problem> {
    let Some(group) = groups::get(tx, organisation, id).await? else { return Ok(None) };
    let most = limits::GROUP_MEMBERS;
    let mut members = incidents::of_groups(tx, organisation, vec![id], most + 1).await?;
    if members.len() > usize::try_from(most).unwrap_or(usize::MAX) {
        members.pop();
        cut.push("incidents of its group");
    }
    let member = |incident: Incident| Member {
        name: incident.subject_name,
        state: incident.state.to_string(),
        scope: incident.scope.to_string(),
        started_at: incident.started_at,
        resolved_at: incident.resolved_at,
    };
    let members = members.into_iter().map(member).collect();
    Ok(Some(Group { summary: group.summary, members }))
}

fn event(event: Event) -> post_mortem::Event {
    post_mortem::Event {
        regions: regions(&event.evidence),
        number: event.number,
        at: event.at,
        kind: event.kind,
        verdict: event.verdict.to_string(),
        scope: event.scope.to_string(),
        summary: event.summary,
    }
}

/// What each region told, from a planner's stored input; evidence of another
/// sort, or of another version, has none.
fn regions(evidence: &serde_json::Value) -> Vec<RegionView> {
    let stored = &evidence["input"]["evaluation"]["regions"];
    serde_json::from_value(stored.clone()).unwrap_or_default()
}

async fn told(
    tx: &mut Tx,
    organisation: Uuid,
    incident: &Incident,
    events: &[Event],
    cut: &mut Vec<&'static str>,
) -> Result<Vec<Told>, Problem> {
    let over = incident.resolved_at;
    let made = history::tellings(tx, organisation, incident.id, over, i64::MAX).await?;
    if made.len() >= usize::try_from(deliveries::OF_INCIDENT).unwrap_or(usize::MAX) {
        cut.push("notices");
    }
    let mut names: BTreeMap<Uuid, String> = BTreeMap::new();
    for id in made.iter().map(|one| one.delivery.channel_id).collect::<BTreeSet<_>>() {
        let channel = channels::get(tx, organisation, id).await?;
        names.extend(channel.map(|channel| (id, channel.name)));
    }
    let mut told = Vec::with_capacity(made.len());
    for Telling { delivery, at, through, .. } in made {
        let channel = names.get(&delivery.channel_id).cloned();
        let mut channel = channel.unwrap_or_else(|| "a deleted channel".to_owned());
        if through.is_some() {
            channel.push_str(", with its group");
        }
        // What the lead of its group told belongs to what was the newest then.
        let newest = events.iter().rfind(|event| event.at <= at).map_or(0, |event| event.number);
        told.push(Told {
            event_number: through.map_or(delivery.notice.event_number, |_| newest),
            kind: delivery.notice.kind.to_string(),
            channel,
            recipient: delivery.recipient,
            made_at: at,
            state: delivery.state.to_string(),
            settled_at: delivery.settled_at,
            error: delivery.last_error,
        });
    }
    Ok(told)
}
