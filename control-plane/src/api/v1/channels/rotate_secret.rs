//! `POST /channels/{id}/rotate-secret`.

use super::locked;
use crate::api::{Api, Problem, input::Id};
use crate::auth::Editor;
use crate::notify::SigningSecret;
use crate::store::channels;
use axum::Json;
use axum::extract::State;
use hyperverge_control_core::notification::ChannelKind;
use serde::Serialize;

/// A signing secret just made.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct NewSecret {
    /// `whsec_…`; it is not shown again.
    secret: String,
}

/// Gives a webhook a new signing secret. The old one signs nothing from now on;
/// what a receiver refuses until it knows the new one is sent again.
#[utoipa::path(post, path = "/channels/{id}/rotate-secret", tag = "notification", operation_id = "rotate_channel_secret",
    params(("id" = Uuid, Path, description = "The channel")),
    responses((status = 200, body = NewSecret)))]
pub(super) async fn rotate_secret(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
) -> Result<Json<NewSecret>, Problem> {
    let organisation = caller.organisation;
    let mut tx = api.shared.store.begin().await?;
    let mut channel = locked(&mut tx, organisation, id).await?;
    if channel.kind() != ChannelKind::Webhook {
        return Err(Problem::conflict("only a webhook has a signing secret"));
    }
    let secret = SigningSecret::generate(&mut crate::clock::rng());
    channel.sealed_secret = Some(secret.seal(&api.shared.keys, organisation, id));
    let was = channel.revision;
    channel.revision += 1;
    channels::update(&mut tx, &channel, was).await?;
    tx.commit().await?;
    Ok(Json(NewSecret { secret: secret.reveal() }))
}
