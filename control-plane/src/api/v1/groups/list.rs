//! `GET /groups`.

use super::{GroupView, views};
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::limits;
use crate::store::groups;
use axum::extract::State;
use serde::Deserialize;

/// Parameters of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupsQuery {
    /// Items on a page: 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `open` or `resolved`.
    state: Option<String>,
}

/// Groups, the newest first.
#[utoipa::path(get, path = "/groups", tag = "incidents", operation_id = "list_groups",
    params(GroupsQuery), responses((status = 200, body = Page<GroupView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<GroupsQuery>,
) -> Result<Page<GroupView>, Problem> {
    let open = match query.state.as_deref() {
        None => None,
        Some("open") => Some(true),
        Some("resolved") => Some(false),
        Some(_) => return Err(Problem::field("state", "must be open or resolved")),
    };
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (before, rows) = (page.after_id()?, page.rows()?);
    let organisation = caller.organisation;
    let mut tx = api.shared.store.read().await?;
    let found = groups::page(&mut tx, organisation, open, before, rows).await?;
    let Page { items, next_cursor } = Page::new(found, &page, |group| group.id.to_string())?;
    let items = views(&mut tx, organisation, items, limits::GROUP_MEMBERS_IN_LIST).await?;
    Ok(Page { items, next_cursor })
}
