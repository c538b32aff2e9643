//! `GET /regions`.

use super::RegionView;
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::store::regions;
use axum::extract::State;

/// Regions by name, without the retired.
#[utoipa::path(get, path = "/regions", tag = "fleet", operation_id = "list_regions",
    params(PageQuery), responses((status = 200, body = Page<RegionView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<PageQuery>,
) -> Result<Page<RegionView>, Problem> {
    let after = query.after()?.unwrap_or_default();
    let mut tx = api.shared.store.read().await?;
    let rows = regions::page(&mut tx, caller.organisation, &after, query.rows()?).await?;
    Ok(Page::new(rows, &query, |region| region.name.clone())?.map(RegionView::from))
}
