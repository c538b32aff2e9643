//! `POST /silences`.

use super::SilenceView;
use crate::api::create::{Begun, Create, CreateRequest};
use crate::api::v1::holds::{MatchersBody, begins};
use crate::api::{Api, Problem, Timestamp, input::JsonBody, input::object};
use crate::auth::Editor;
use crate::limits;
use crate::store::silences::{self, StoredSilence};
use axum::extract::State;
use axum::response::Response;
use hyperverge_control_core::notification::hold::Silence;
use serde::Deserialize;

/// A silence to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSilence {
    /// Why, in words.
    comment: String,
    #[serde(deserialize_with = "object")]
    matchers: MatchersBody,
    /// Now, if it is left out or in the past.
    #[serde(default)]
    starts_at: Option<Timestamp>,
    /// The first moment at which it no longer holds.
    ends_at: Timestamp,
}

/// Makes a silence. What waits to be told is judged by it at once.
#[utoipa::path(post, path = "/silences", tag = "notification", operation_id = "create_silence",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body get the same answer for a day")),
    request_body = NewSilence, responses((status = 201, body = SilenceView)))]
pub(super) async fn create(
    State(api): State<Api>,
    Editor(caller): Editor,
    request: CreateRequest,
    body: JsonBody,
) -> Result<Response, Problem> {
    let new: NewSilence = body.read()?;
    let mut create = match Create::begin(&api, caller, request, &body.0).await? {
        Begun::Fresh(create) => create,
        Begun::Replayed(response) => return Ok(response),
    };
    let (organisation, now) = (caller.organisation, create.now);
    let silence = Silence {
        id: crate::clock::new_id(),
        comment: new.comment,
        matchers: new.matchers.into(),
        starts_at: begins(new.starts_at, now),
        ends_at: new.ends_at.0,
    };
    let problems = silence.check(now);
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    if silences::count(&mut create.tx, organisation, now).await? >= limits::SILENCES {
        let limit = limits::SILENCES;
        let rule = format!("an organisation may have {limit} silences that are not over");
        return Err(Problem::conflict(rule));
    }
    let stored = StoredSilence { silence, revision: 1, created_by: caller.user, created_at: now };
    silences::insert(&mut create.tx, organisation, &stored).await?;
    let response = create.finish(&api, &SilenceView::at(now, stored)).await?;
    api.shared.wake.correlator.notify_one();
    Ok(response)
}
