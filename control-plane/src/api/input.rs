//! What handlers take from a request.

use super::{Api, Problem};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use hyperverge_protocol::monitor::read_shape;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use uuid::Uuid;

/// A body that says it is JSON (or a JSON merge patch), not yet parsed.
#[derive(Debug, Clone)]
pub struct JsonBody(pub Bytes);

impl JsonBody {
    /// Reads the body; what is wrong with it is named by field and rule.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        read_shape(&self.0).map_err(|problem| match problem.field.as_str() {
            "" => Problem::malformed(format!("the body {}", problem.rule)),
            _ => Problem::invalid(vec![problem]),
        })
    }
}

impl FromRequest<Api> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type("Content-Type must be application/json"));
        }
        let limit = api.shared.settings.limits.body_bytes;
        Bytes::from_request(request, api).await.map(Self).map_err(|rejection| {
            match rejection.status() {
                http::StatusCode::PAYLOAD_TOO_LARGE => {
                    Problem::too_large(format!("the body must be at most {limit} bytes"))
                }
                _ => Problem::malformed("the body did not arrive whole"),
            }
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "application/merge-patch+json")
}

/// Reads a struct within a body from an object and nothing else: derived code would
/// take a list too, field by field in the order of our source.
pub fn object<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct ObjectOnly<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOnly<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(ObjectOnly(PhantomData))
}

/// The one id in a path. What is no id names nothing.
#[derive(Debug, Clone, Copy)]
pub struct Id(pub Uuid);

impl FromRequestParts<Api> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|_| Problem::not_found("thing"))?;
        text.parse().map(Self).map_err(|_| Problem::not_found("thing"))
    }
}

/// Query parameters; unknown, repeated and unreadable ones are named.
#[derive(Debug, Clone, Copy)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let Query(params) = Query::<T>::try_from_uri(&parts.uri).map_err(|rejection| {
            let source = std::error::Error::source(&rejection);
            name_parameter(&source.map(ToString::to_string).unwrap_or_default())
        })?;
        Ok(Self(params))
    }
}

/// Turns serde's sentence into a parameter and a rule.
fn name_parameter(sentence: &str) -> Problem {
    let quoted = |prefix: &str| {
        let rest = &sentence[sentence.find(prefix)? + prefix.len()..];
        rest.split('`').next()
    };
    if let Some(name) = quoted("unknown field `") {
        return Problem::field(name, "is not a parameter of this path");
    }
    if let Some(name) = quoted("duplicate field `") {
        return Problem::field(name, "must be given once");
    }
    match sentence.split_once(": ") {
        Some((name, why)) => Problem::field(name, format!("is not valid: {why}")),
        None => Problem::malformed("the query string cannot be read"),
    }
}

/// Where the request came from: the peer of the connection, never a header
/// that the peer could have written.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<Api> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip())))
    }
}
