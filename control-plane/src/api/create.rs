//! Creates, with or without an `Idempotency-Key`.
//!
//! A handler that creates begins with [`Create::begin`]: either the answer is
//! there already, because this very request was made before, or it gets the
//! transaction in which to do the work and then [`Create::finish`]es. The
//! answer is stored sealed with the wrapping key, since some answers hold a
//! secret that is shown once.

use super::precondition::etag;
use super::{Api, Problem};
use crate::auth::Caller;
use crate::store::{Tx, idempotency};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use sha2::{Digest, Sha256};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const KEY_BYTES: usize = 255;

/// The request's `Idempotency-Key`, if it has one, and its path.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    key: Option<String>,
    path: String,
}

impl FromRequestParts<Api> for CreateRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let path = parts
            .extensions
            .get::<axum::extract::OriginalUri>()
            .map_or_else(|| parts.uri.path(), |uri| uri.path())
            .to_owned();
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else {
            return Ok(Self { key: None, path });
        };
        let fits = |key: &&str| (1..=KEY_BYTES).contains(&key.len());
        let key = value.to_str().ok().filter(fits).ok_or_else(|| {
            Problem::field("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
        })?;
        Ok(Self { key: Some(key.to_owned()), path })
    }
}

/// A create under way.
#[derive(Debug)]
pub struct Create {
    /// Where the work is done.
    pub tx: Tx,
    /// The database's time.
    pub now: i64,
    caller: Caller,
    request: CreateRequest,
}

/// What [`Create::begin`] found.
#[derive(Debug)]
pub enum Begun {
    Fresh(Create),
    Replayed(Response),
}

impl Create {
    /// Begins; `body` is the request's, as it came.
    pub async fn begin(
        api: &Api,
        caller: Caller,
        request: CreateRequest,
        body: &[u8],
    ) -> Result<Begun, Problem> {
        let mut tx = api.shared.store.begin().await?;
        let now = tx.now().await?;
        if let Some(key) = &request.key {
            let hash = request_hash(&caller, &request.path, body);
            let organisation = caller.organisation;
            if !idempotency::claim(&mut tx, organisation, key, hash.clone(), now).await? {
                drop(tx);
                return replay(api, caller, &request, key, &hash).await.map(Begun::Replayed);
            }
        }
        Ok(Begun::Fresh(Self { tx, now, caller, request }))
    }

    /// Commits, and answers 201 with `body`, whose `id` and `revision` become
    /// `Location` and `ETag`.
    pub async fn finish(mut self, api: &Api, body: &impl Serialize) -> Result<Response, Problem> {
        let json = serde_json::to_string(body).map_err(Problem::internal)?;
        if let Some(key) = &self.request.key {
            let place = place(&self.caller, key);
            let sealed = api.shared.keys.seal(place.as_bytes(), json.as_bytes());
            let status = StatusCode::CREATED.as_u16();
            let text = STANDARD.encode(sealed);
            idempotency::settle(&mut self.tx, self.caller.organisation, key, status, &text).await?;
        }
        self.tx.commit().await?;
        Ok(created(&self.request.path, json))
    }
}

async fn replay(
    api: &Api,
    caller: Caller,
    request: &CreateRequest,
    key: &str,
    hash: &[u8],
) -> Result<Response, Problem> {
    let mut tx = api.shared.store.read().await?;
    let answered =
        idempotency::find(&mut tx, caller.organisation, key).await?.ok_or_else(|| {
            Problem::unavailable("the first request with this key was undone; try again")
        })?;
    if answered.request_hash != hash {
        let rule = "was used for another request; a key stands for one request";
        return Err(Problem::field("Idempotency-Key", rule));
    }
    let sealed = STANDARD.decode(&answered.body).map_err(Problem::internal)?;
    let place = place(&caller, key);
    let json = api.shared.keys.open_sealed(place.as_bytes(), &sealed).map_err(Problem::internal)?;
    let json = String::from_utf8(json).map_err(Problem::internal)?;
    let mut response = created(&request.path, json);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// The request a key stands for, its author included.
fn request_hash(caller: &Caller, path: &str, body: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(caller.user.as_bytes());
    hash.update(path.as_bytes());
    hash.update(b"\0");
    hash.update(body);
    hash.finalize().to_vec()
}

fn place(caller: &Caller, key: &str) -> String {
    format!("idempotency/{}/{key}", caller.organisation)
}

fn created(path: &str, json: String) -> Response {
    let made: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
    let mut response = (StatusCode::CREATED, json).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(id) = made["id"].as_str()
        && let Ok(location) = HeaderValue::from_str(&format!("{path}/{id}"))
    {
        headers.insert(LOCATION, location);
    }
    if let Some(revision) = made["revision"].as_i64() {
        headers.insert(ETAG, etag(revision));
    }
    response
}
