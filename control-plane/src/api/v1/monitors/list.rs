//! `GET /monitors`.

use super::MonitorView;
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::store::monitors;
use axum::extract::State;

/// Monitors by name.
#[utoipa::path(get, path = "/monitors", tag = "monitors", operation_id = "list_monitors",
    params(PageQuery), responses((status = 200, body = Page<MonitorView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<PageQuery>,
) -> Result<Page<MonitorView>, Problem> {
    let after = query.after()?.unwrap_or_default();
    let mut tx = api.shared.store.read().await?;
    let rows = monitors::page(&mut tx, caller.organisation, &after, query.rows()?).await?;
    let page = Page::new(rows, &query, |monitor| monitor.spec.name.clone())?;
    Ok(page.map(MonitorView::from))
}
