//! `POST /regions`.

use super::{NAME_RULE, RegionView};
use crate::api::create::{Begun, Create, CreateRequest};
use crate::api::{Api, Problem, input::JsonBody};
use crate::auth::Admin;
use crate::limits;
use crate::store::regions;
use axum::extract::State;
use axum::response::Response;
use hyperverge_protocol::monitor::is_slug;
use serde::Deserialize;

/// A region to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRegion {
    /// Slug: `a-z 0-9 -`, at most 63.
    #[schema(example = "eu-west")]
    name: String,
}

/// Makes a region, or brings a retired one back.
#[utoipa::path(post, path = "/regions", tag = "fleet", operation_id = "create_region",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body get the same answer for a day")),
    request_body = NewRegion, responses((status = 201, body = RegionView)))]
pub(super) async fn create(
    State(api): State<Api>,
    Admin(caller): Admin,
    request: CreateRequest,
    body: JsonBody,
) -> Result<Response, Problem> {
    let NewRegion { name } = body.read()?;
    if !is_slug(&name) {
        return Err(Problem::field("name", NAME_RULE));
    }
    let mut create = match Create::begin(&api, caller, request, &body.0).await? {
        Begun::Fresh(create) => create,
        Begun::Replayed(response) => return Ok(response),
    };
    let organisation = caller.organisation;
    let (tx, now) = (&mut create.tx, create.now);
    if regions::count(tx, organisation).await? >= limits::REGIONS_PER_ORGANISATION {
        return Err(Problem::conflict("an organisation may have 256 regions"));
    }
    let id = crate::clock::new_id();
    let mut region = regions::ensure(tx, organisation, id, &name, now)
        .await?
        .ok_or_else(|| Problem::not_found("region"))?;
    if region.id != id {
        if region.retired_at.is_none() {
            return Err(Problem::taken("name", "is the name of another region"));
        }
        regions::set_retired(tx, organisation, region.id, None).await?;
        region.retired_at = None;
    }
    let response = create.finish(&api, &RegionView::from(region)).await?;
    api.shared.wake.planner.notify_one();
    Ok(response)
}
