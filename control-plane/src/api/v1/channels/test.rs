//! `POST /channels/{id}/test`.

use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use crate::notify::{self, TestError};
use crate::store::channels;
use axum::Json;
use axum::extract::State;
use serde::Serialize;

/// What came of a test message.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ChannelTest {
    /// Whether every recipient took it.
    accepted: bool,
    results: Vec<ChannelTestResult>,
}

/// What one recipient said.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ChannelTestResult {
    /// An address; empty where the channel has just one end.
    recipient: String,
    accepted: bool,
    /// Why not.
    error: Option<String>,
}

/// Sends a test message now and answers what happened, within 20 seconds. A
/// disabled channel is tried all the same.
#[utoipa::path(post, path = "/channels/{id}/test", tag = "notification", operation_id = "test_channel",
    params(("id" = Uuid, Path, description = "The channel")),
    responses((status = 200, body = ChannelTest)))]
pub(super) async fn test(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
) -> Result<Json<ChannelTest>, Problem> {
    let mut tx = api.shared.store.read().await?;
    let channel = channels::get(&mut tx, caller.organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("channel"))?;
    drop(tx);
    let tested = notify::send_test(&api.shared, &channel).await.map_err(|error| match error {
        TestError::Busy => Problem::unavailable("too many channels are being tried out; try again"),
        TestError::Configuration(error) => Problem::internal(error),
    })?;
    let results: Vec<_> = tested
        .into_iter()
        .map(|one| ChannelTestResult {
            recipient: one.recipient,
            accepted: one.accepted,
            error: one.error,
        })
        .collect();
    Ok(Json(ChannelTest { accepted: results.iter().all(|one| one.accepted), results }))
}
