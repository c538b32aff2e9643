//! `GET /silences`.

use super::SilenceView;
use crate::api::page::Page;
use crate::api::v1::holds::HoldsQuery;
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::store::silences;
use axum::extract::State;

/// The newest first. What is over stays here as long as results are kept.
#[utoipa::path(get, path = "/silences", tag = "notification", operation_id = "list_silences",
    params(HoldsQuery), responses((status = 200, body = Page<SilenceView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<HoldsQuery>,
) -> Result<Page<SilenceView>, Problem> {
    let mut tx = api.shared.store.read().await?;
    let now = tx.now().await?;
    let (page, which) = query.split(now);
    let (before, rows) = (page.after_id()?, page.rows()?);
    let found = silences::list(&mut tx, caller.organisation, which, before, rows).await?;
    let page = Page::new(found, &page, |stored| stored.silence.id.to_string())?;
    Ok(page.map(|stored| SilenceView::at(now, stored)))
}
