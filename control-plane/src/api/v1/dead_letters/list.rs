//! `GET /dead-letters`.

use super::{DeadLetterView, channel_of};
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::store::channels::Channel;
use crate::store::deliveries;
use axum::extract::State;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Notices that could not be delivered, the oldest first.
#[utoipa::path(get, path = "/dead-letters", tag = "notification", operation_id = "list_dead_letters",
    params(PageQuery), responses((status = 200, body = Page<DeadLetterView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<PageQuery>,
) -> Result<Page<DeadLetterView>, Problem> {
    let mut tx = api.shared.store.read().await?;
    let after = query.after_id()?;
    let rows = deliveries::dead_letters(&mut tx, caller.organisation, after, query.rows()?).await?;
    let mut channels: BTreeMap<Uuid, Channel> = BTreeMap::new();
    for row in &rows {
        if !channels.contains_key(&row.channel_id)
            && let Some(channel) = channel_of(&mut tx, row).await?
        {
            channels.insert(channel.id, channel);
        }
    }
    let page = Page::new(rows, &query, |delivery| delivery.id.to_string())?;
    let items = page.items.into_iter().filter_map(|delivery| {
        let channel = channels.get(&delivery.channel_id)?;
        Some(DeadLetterView::new(delivery, channel))
    });
    Ok(Page { items: items.collect(), next_cursor: page.next_cursor })
}
