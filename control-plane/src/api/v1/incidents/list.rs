//! `GET /incidents`.

use super::{IncidentView, views};
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, Timestamp, input::Params};
use crate::auth::Viewer;
use crate::store::incidents::{self, Filter};
use axum::extract::State;
use hyperverge_control_core::incident::{IncidentState, SubjectKind};
use serde::Deserialize;
use std::str::FromStr;
use uuid::Uuid;

/// Parameters of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IncidentsQuery {
    /// Items on a page: 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `open`, `acknowledged`, `resolved`, or `unresolved` for the first two.
    state: Option<String>,
    /// Only those of this monitor.
    monitor: Option<Uuid>,
    /// `monitor`, `agent` or `region`.
    subject: Option<String>,
    /// `local`, `regional` or `global`.
    scope: Option<String>,
    /// `critical`, `warning` or `info`.
    severity: Option<String>,
    /// Only those of this group.
    group: Option<Uuid>,
    /// Only those that lasted at this time or later (RFC 3339).
    since: Option<String>,
    /// Only those that began before this time (RFC 3339).
    until: Option<String>,
}

/// Incidents, the newest first.
#[utoipa::path(get, path = "/incidents", tag = "incidents", operation_id = "list_incidents",
    params(IncidentsQuery), responses((status = 200, body = Page<IncidentView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<IncidentsQuery>,
) -> Result<Page<IncidentView>, Problem> {
    let filter = filter(&query)?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (before, rows) = (page.after_id()?, page.rows()?);
    let organisation = caller.organisation;
    let mut tx = api.shared.store.read().await?;
    let found = incidents::page(&mut tx, organisation, &filter, before, rows).await?;
    let Page { items, next_cursor } = Page::new(found, &page, |incident| incident.id.to_string())?;
    Ok(Page { items: views(&mut tx, organisation, items).await?, next_cursor })
}

fn filter(query: &IncidentsQuery) -> Result<Filter, Problem> {
    let (resolved, state) = match query.state.as_deref() {
        Some("unresolved") => (Some(false), None),
        state => {
            let rule = "must be open, acknowledged, resolved or unresolved";
            (None, word::<IncidentState>("state", state, rule)?)
        }
    };
    Ok(Filter {
        resolved,
        state,
        subject: query.monitor.map(|id| (SubjectKind::Monitor, id.to_string())),
        subject_kind: word(
            "subject",
            query.subject.as_deref(),
            "must be monitor, agent or region",
        )?,
        scope: word("scope", query.scope.as_deref(), "must be local, regional or global")?,
        severity: word("severity", query.severity.as_deref(), "must be critical, warning or info")?,
        group: query.group,
        since: time("since", query.since.as_deref())?,
        until: time("until", query.until.as_deref())?,
    })
}

fn word<T: FromStr>(field: &str, text: Option<&str>, rule: &str) -> Result<Option<T>, Problem> {
    text.map(|text| text.parse().map_err(|_| Problem::field(field, rule))).transpose()
}

fn time(field: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let read = |text: &str| text.parse::<Timestamp>().map(|time| time.0);
    text.map(|text| read(text).map_err(|rule| Problem::field(field, rule))).transpose()
}
