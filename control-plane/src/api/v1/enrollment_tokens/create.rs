//! `POST /enrollment-tokens`.

use crate::api::create::{Begun, Create, CreateRequest};
use crate::api::v1::regions::NAME_RULE;
use crate::api::{Api, Problem, Timestamp, input::JsonBody};
use crate::auth::Admin;
use crate::limits;
use crate::store::regions::Region;
use crate::store::tokens::NewToken;
use crate::store::{Tx, regions, tokens};
use axum::extract::State;
use axum::response::Response;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::monitor::is_slug;
use hyperverge_protocol::token::{EnrollmentToken, SECRET_BYTES, secret_hash};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A token to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEnrollmentToken {
    /// Where the agent will be; made if it is new.
    #[schema(example = "eu-west")]
    region: String,
    /// 1m to 7d; 1h when absent.
    expires_in: Option<Span>,
}

/// A token, shown this once.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct MadeEnrollmentToken {
    id: Uuid,
    /// For `hyperverge-agent enroll`; good for one agent.
    token: String,
    region: String,
    created_at: Timestamp,
    expires_at: Timestamp,
}

/// Makes a token with which one agent may enrol.
#[utoipa::path(post, path = "/enrollment-tokens", tag = "fleet", operation_id = "create_enrollment_token",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body get the same answer for a day")),
    request_body = NewEnrollmentToken, responses((status = 201, body = MadeEnrollmentToken)))]
pub(super) async fn create(
    State(api): State<Api>,
    Admin(caller): Admin,
    request: CreateRequest,
    body: JsonBody,
) -> Result<Response, Problem> {
    let wanted: NewEnrollmentToken = body.read()?;
    let life_ms = judge(&wanted)?;
    let mut create = match Create::begin(&api, caller, request, &body.0).await? {
        Begun::Fresh(create) => create,
        Begun::Replayed(response) => return Ok(response),
    };
    let (tx, now) = (&mut create.tx, create.now);
    if tokens::count_open(tx, caller.organisation, now).await? >= limits::OPEN_ENROLLMENT_TOKENS {
        return Err(Problem::conflict("1000 tokens are unused; delete some first"));
    }
    let region = region(tx, caller.organisation, &wanted.region, now).await?;
    let secret: [u8; SECRET_BYTES] = crate::clock::rng().random();
    let made = MadeEnrollmentToken {
        id: crate::clock::new_id(),
        token: text(&api, &region.name, &secret),
        region: region.name,
        created_at: Timestamp(now),
        expires_at: Timestamp(now + life_ms),
    };
    let token = NewToken {
        id: made.id,
        secret_hash: secret_hash(&secret).to_vec(),
        region_id: region.id,
        created_by: caller.user,
        created_at: now,
        expires_at: made.expires_at.0,
    };
    tokens::insert(tx, caller.organisation, token).await?;
    create.finish(&api, &made).await
}

/// The life asked for, ms.
fn judge(wanted: &NewEnrollmentToken) -> Result<i64, Problem> {
    if !is_slug(&wanted.region) {
        return Err(Problem::field("region", NAME_RULE));
    }
    let life = wanted.expires_in.map_or(limits::ENROLLMENT_TOKEN_DEFAULT, |span| span.0);
    if !(limits::ENROLLMENT_TOKEN_MIN..=limits::ENROLLMENT_TOKEN_MAX).contains(&life) {
        return Err(Problem::field("expires_in", "must be 1m to 7d"));
    }
    Ok(i64::try_from(life.as_millis()).unwrap_or(i64::MAX))
}

async fn region(tx: &mut Tx, organisation: Uuid, name: &str, now: i64) -> Result<Region, Problem> {
    if let Some(region) = regions::by_name(tx, organisation, name).await? {
        if region.retired_at.is_some() {
            let rule = "was retired; POST /api/v1/regions brings it back";
            return Err(Problem::field("region", rule));
        }
        return Ok(region);
    }
    if regions::count(tx, organisation).await? >= limits::REGIONS_PER_ORGANISATION {
        return Err(Problem::conflict("an organisation may have 256 regions"));
    }
    regions::ensure(tx, organisation, crate::clock::new_id(), name, now)
        .await?
        .ok_or_else(|| Problem::not_found("region"))
}

fn text(api: &Api, region: &str, secret: &[u8; SECRET_BYTES]) -> String {
    let keys = &api.shared.keys;
    let link_key = hex::encode(keys.link().verifying_key().as_bytes());
    let assignment_key = hex::encode(keys.assignment_public().as_bytes());
    let addresses = api.shared.settings.advertised();
    EnrollmentToken::new(addresses, vec![link_key], assignment_key, region.to_owned(), secret)
        .to_text()
}
