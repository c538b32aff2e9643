//! `GET /routes`.

use super::RouteView;
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::store::routes;
use axum::extract::State;

/// Routes in the order they were made, which is of no consequence.
#[utoipa::path(get, path = "/routes", tag = "notification", operation_id = "list_routes",
    params(PageQuery), responses((status = 200, body = Page<RouteView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<PageQuery>,
) -> Result<Page<RouteView>, Problem> {
    let after = query.after_id()?;
    let mut tx = api.shared.store.read().await?;
    let rows = routes::list(&mut tx, caller.organisation, after, query.rows()?).await?;
    Ok(Page::new(rows, &query, |stored| stored.id.to_string())?.map(RouteView::from))
}
