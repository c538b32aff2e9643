//! `GET /channels`.

use super::ChannelView;
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::store::channels;
use axum::extract::State;

/// Channels in the order they were made.
#[utoipa::path(get, path = "/channels", tag = "notification", operation_id = "list_channels",
    params(PageQuery), responses((status = 200, body = Page<ChannelView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<PageQuery>,
) -> Result<Page<ChannelView>, Problem> {
    let mut tx = api.shared.store.read().await?;
    let after = query.after_id()?;
    let rows = channels::list(&mut tx, caller.organisation, after, query.rows()?).await?;
    let page = Page::new(rows, &query, |channel| channel.id.to_string())?;
    Ok(page.map(ChannelView::from))
}
