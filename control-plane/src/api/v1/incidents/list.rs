//! `GET /incidents`.

use super::IncidentView;
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::store::incidents::{self, Filter};
use axum::extract::State;
use hyperverge_control_core::incident::{IncidentState, SubjectKind};
use serde::Deserialize;
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
    let mut tx = api.shared.store.read().await?;
    let found = incidents::page(&mut tx, caller.organisation, &filter, before, rows).await?;
    Ok(Page::new(found, &page, |incident| incident.id.to_string())?.map(IncidentView::from))
}

fn filter(query: &IncidentsQuery) -> Result<Filter, Problem> {
    let subject = query.monitor.map(|id| (SubjectKind::Monitor, id.to_string()));
    let (resolved, state) = match query.state.as_deref() {
        None => (None, None),
        Some("unresolved") => (Some(false), None),
        Some(word) => {
            let rule = "must be open, acknowledged, resolved or unresolved";
            let state: IncidentState = word.parse().map_err(|_| Problem::field("state", rule))?;
            (None, Some(state))
        }
    };
    Ok(Filter { resolved, state, subject })
}
