//! Section `tls`: whom to trust and what to ask for, wherever a check speaks TLS.

use super::is_default;
use serde::{Deserialize, Serialize};

/// Options of every TLS handshake a check makes with its target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TlsOptions {
    /// Whether certificates must verify. (`kind: http` says it in `http.verify`.)
    #[serde(skip_serializing_if = "is_true")]
    pub verify: bool,
    /// The name to ask for (SNI) and to verify, instead of the target's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Certificates (PEM) to trust instead of the public roots and the agent's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Our own certificate chain (PEM), leaf first, for servers that want one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Its private key (PEM: PKCS#8, PKCS#1 or SEC1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// SHA-256 fingerprints (64 hex digits) of leaf certificates, any of which will do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
    /// The lowest version to accept.
    #[serde(skip_serializing_if = "is_default")]
    pub min_version: TlsVersion,
    /// Protocols to offer (ALPN), for kinds `tls` and `tcp`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// The dialogue that comes before the handshake, for kinds `tls` and `tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starttls: Option<StartTls>,
}

/// Versions that are spoken at all; older ones are `tls_weak`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TlsVersion {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

/// Protocols that begin in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StartTls {
    /// RFC 3207.
    Smtp,
    /// RFC 9051.
    Imap,
    /// RFC 2595.
    Pop3,
    /// RFC 4217.
    Ftp,
    /// RFC 4511, section 4.14.
    Ldap,
    /// `SSLRequest` of PostgreSQL's protocol.
    Postgres,
    /// The capability exchange of MySQL's protocol.
    Mysql,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            verify: true,
            server_name: None,
            ca: None,
            certificate: None,
            key: None,
            pins: Vec::new(),
            min_version: TlsVersion::default(),
            alpn: Vec::new(),
            starttls: None,
        }
    }
}

fn is_true(value: &bool) -> bool {
    *value
}
