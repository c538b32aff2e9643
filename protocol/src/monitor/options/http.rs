//! Section `http`.

use super::is_default;
use crate::limits::RESPONSE_BODY_BYTES;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Options of `kind: http`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HttpOptions {
    pub method: Method,
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    /// Redirects that are followed; 0 takes the first answer as it is.
    pub redirects: u8,
    /// Whether certificates must verify.
    pub verify: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub version: HttpVersion,
    /// Sent to the target's own origin only, never to where it redirects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// `http://`, `https://` or `socks5://` with host and port, and user and password where it wants them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Ask for a compressed answer (gzip, br, zstd). One that comes compressed is always decoded.
    #[serde(skip_serializing_if = "is_default")]
    pub compression: bool,
    /// Bytes of the (decoded) body that are read; the rest is cut off. At most 1 MiB, the default.
    #[serde(skip_serializing_if = "is_whole")]
    pub body_limit: u32,
    /// Whether to say in `X-Hyperverge-Check` which check this is.
    #[serde(skip_serializing_if = "is_true")]
    pub identify: bool,
}

/// Methods a check may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// The word in the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// The version of HTTP to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HttpVersion {
    /// What TLS agrees on: 2, else 1.1. Without TLS: 1.1.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "1.1")]
    Http11,
    /// Without TLS: with prior knowledge (RFC 9113, section 3.3).
    #[serde(rename = "2")]
    Http2,
    /// Over QUIC; `https` only.
    #[serde(rename = "3")]
    Http3,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Auth {
    /// RFC 7617.
    Basic(Basic),
    /// RFC 6750: the token.
    Bearer(String),
}

/// RFC 7617.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Basic {
    pub username: String,
    pub password: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            method: Method::default(),
            headers: BTreeMap::new(),
            body: None,
            redirects: 5,
            verify: true,
            version: HttpVersion::Auto,
            auth: None,
            proxy: None,
            compression: false,
            body_limit: RESPONSE_BODY_BYTES as u32,
            identify: true,
        }
    }
}

fn is_whole(bytes: &u32) -> bool {
    *bytes as usize == RESPONSE_BODY_BYTES
}

fn is_true(value: &bool) -> bool {
    *value
}
