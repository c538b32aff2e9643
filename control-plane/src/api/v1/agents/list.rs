//! `GET /agents`.

use super::AgentView;
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::store::agents;
use axum::extract::State;

/// Agents in the order of their ids, the revoked too.
#[utoipa::path(get, path = "/agents", tag = "fleet", operation_id = "list_agents",
    params(PageQuery), responses((status = 200, body = Page<AgentView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<PageQuery>,
) -> Result<Page<AgentView>, Problem> {
    let after = query.after()?;
    let mut tx = api.shared.store.read().await?;
    let rows = agents::list(&mut tx, caller.organisation, after.as_deref(), query.rows()?).await?;
    Ok(Page::new(rows, &query, |agent| agent.id.clone())?.map(AgentView::from))
}
