//! `GET /groups/{id}`.

use super::{GroupView, views};
use crate::api::{Api, Problem, input::Id};
use crate::auth::Viewer;
use crate::limits;
use crate::store::groups;
use axum::Json;
use axum::extract::State;

/// One group, with its members.
#[utoipa::path(get, path = "/groups/{id}", tag = "incidents", operation_id = "get_group",
    params(("id" = Uuid, Path, description = "The group")),
    responses((status = 200, body = GroupView)))]
pub(super) async fn get(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
) -> Result<Json<GroupView>, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.read().await?;
    let group =
        groups::get(&mut tx, organisation, id).await?.ok_or_else(|| Problem::not_found("group"))?;
    let mut views = views(&mut tx, organisation, vec![group], limits::GROUP_MEMBERS).await?;
    views.pop().map(Json).ok_or_else(|| Problem::not_found("group"))
}
