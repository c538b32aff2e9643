//! `PATCH /routes/{id}`.

use super::put::replace;
use super::{MatchBody, RouteView};
use crate::api::precondition::IfMatch;
use crate::api::{Api, Problem, input::Id, input::JsonBody, input::object};
use crate::auth::Editor;
use axum::extract::State;
use axum::response::Response;
use hyperverge_control_core::notification::route::Route;
use serde::{Deserialize, Deserializer};

/// What is changed; what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteChange {
    name: Option<String>,
    /// As a whole.
    #[serde(rename = "match", default, deserialize_with = "some_object")]
    matches: Option<MatchBody>,
    /// As a whole.
    channels: Option<Vec<String>>,
}

/// `null` is no match: what is to be empty is written as such.
fn some_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MatchBody>, D::Error> {
    object(deserializer).map(Some)
}

/// Changes a route.
#[utoipa::path(patch, path = "/routes/{id}", tag = "notification", operation_id = "change_route",
    params(("id" = Uuid, Path, description = "The route"),
        ("If-Match" = Option<String>, Header, description = "The ETag it was read with; 412 when it has changed since")),
    request_body = RouteChange, responses((status = 200, body = RouteView)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
    preconditions: IfMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let change: RouteChange = body.read()?;
    replace(&api, caller, id, &preconditions, |present| Route {
        name: change.name.unwrap_or_else(|| present.name.clone()),
        matches: change.matches.map_or_else(|| present.matches.clone(), Into::into),
        channels: change.channels.unwrap_or_else(|| present.channels.clone()),
    })
    .await
}
