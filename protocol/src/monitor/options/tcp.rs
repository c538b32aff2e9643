//! Section `tcp`.

use super::is_default;
use serde::{Deserialize, Serialize};

/// Options of `kind: tcp`. Without any, a connection that is established is a success.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TcpOptions {
    /// Speak TLS from the first byte (section `tls` says how).
    #[serde(skip_serializing_if = "is_default")]
    pub tls: bool,
    /// The dialogue, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// One step of a dialogue. What is expected is looked for in everything that
/// came since the last step that sent something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Step {
    /// Text to send, as it is; write `\r\n` where a line ends.
    Send(String),
    /// Bytes to send, in hexadecimal digits.
    SendHex(String),
    /// A text to wait for.
    Expect(String),
    /// Bytes to wait for, in hexadecimal digits.
    ExpectHex(String),
    /// A regular expression to wait for, matched against bytes.
    ExpectRegex(String),
    /// Shake hands in TLS here.
    Starttls,
}
