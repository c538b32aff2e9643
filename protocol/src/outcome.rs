//! Step 4: what a probe found.
//!
//! An [`Observation`] is what a probe hands to its runner; the wire's
//! `ResultRow` is the same thing under a batch. `policy` and `unsupported` say
//! something about us, never about the target, and so cast no vote.

mod details;

use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use details::{Details, DnsFacts, HttpFacts, IcmpFacts, TlsFacts};

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Outcome {
    /// Everything expected was seen.
    Ok,
    /// Expected answers, but a `warn` threshold was crossed.
    Degraded,
    /// The target did not do what was expected.
    Fail,
    /// The host's own policy forbade the check; no vote.
    Policy,
    /// This agent cannot make this check; no vote.
    Unsupported,
}

/// Why a check did not end `ok`. A closed list: a reason is a metric label, a
/// column and a word people search for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Reason {
    DnsNxdomain,
    DnsNoAddress,
    DnsServfail,
    DnsRefused,
    DnsTimeout,
    DnsError,
    DnsMalformed,
    DnsRcode,
    DnsAnswer,
    DnsTtl,
    DnsAuthority,
    ConnectRefused,
    ConnectReset,
    ConnectUnreachable,
    ConnectError,
    TimeoutResolve,
    TimeoutConnect,
    TimeoutTls,
    TimeoutProcessing,
    TimeoutTransfer,
    TlsExpired,
    TlsNotYetValid,
    TlsWrongHost,
    TlsUnknownIssuer,
    TlsSelfSigned,
    TlsIncompleteChain,
    TlsRevoked,
    TlsWeak,
    TlsPin,
    TlsClientCertificate,
    Starttls,
    TlsReset,
    TlsHandshake,
    CertificateDays,
    ChainDays,
    ResetProcessing,
    ResetTransfer,
    HttpMalformed,
    HttpHeadersTooLarge,
    HttpVersion,
    HttpEncoding,
    Proxy,
    RedirectLimit,
    RedirectInvalid,
    RedirectDowngrade,
    Status,
    Body,
    BodyTooLarge,
    Header,
    /// The peer's answer was not the expected one (kind `tcp`).
    Response,
    IcmpNoReply,
    IcmpUnreachable,
    PacketLoss,
    Jitter,
    Latency,
    Assertion,
    Inverted,
    PolicyAddress,
    PolicyPort,
    PolicyScheme,
    PolicyMethod,
    PolicyRate,
    UnsupportedKind,
    UnsupportedSpec,
    UnsupportedPermission,
    UnsupportedFamily,
    /// The agent itself failed (out of descriptors, ports, memory): never the target's fault.
    AgentFault,
}

impl Reason {
    /// The word used on the wire, in the database and in metrics.
    pub fn as_str(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => word,
            _ => String::new(),
        }
    }

    /// Reads a word; `None` when this version does not know it.
    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
    }
}

/// How long each phase took. A phase that did not happen is `None`; over
/// redirects they add up. The names are blackbox_exporter's.
///
/// A phase is the network's and the target's time. It ends when the kernel had
/// what ended it (the agent's `probe::arrival`), not when the agent came to read
/// it; where a kernel gives no time stamps, when it was read. A phase in which the
/// check failed or ran out of time lasts until the agent noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Name to addresses.
    pub resolve: Option<Duration>,
    /// SYN to SYN-ACK, as TCP measured it; until the agent noticed where the SYN
    /// had to be sent again. Addresses that failed before are in it, and the making
    /// of a proxy's tunnel. Empty over QUIC, which connects as it shakes hands.
    pub connect: Option<Duration>,
    /// ClientHello to the last handshake message of the peer, less what the agent
    /// computed in between. Over QUIC from the first packet to an established
    /// connection, so that it compares with `connect` and `tls` together.
    pub tls: Option<Duration>,
    /// Request written to the first byte of the answer.
    pub processing: Option<Duration>,
    /// First byte to the last one, or to the end of the connection where that
    /// ends the answer.
    pub transfer: Option<Duration>,
}

/// What a probe found, before it is dated and numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub outcome: Outcome,
    /// `None` exactly when the outcome is `Ok`.
    pub reason: Option<Reason>,
    /// One sentence for people, at most [`crate::limits::MESSAGE_BYTES`], no secrets.
    pub message: String,
    pub phases: Phases,
    /// The address that was reached (or tried last).
    pub address: Option<std::net::SocketAddr>,
    /// Protocol status, e.g. HTTP 200.
    pub status: Option<u16>,
    /// When the leaf certificate expires, Unix seconds.
    pub certificate_expires_s: Option<i64>,
    /// On failure, the beginning of the answer.
    pub sample: Vec<u8>,
    pub redirects: u8,
    pub body_bytes: u64,
    /// What else its kind tells.
    pub details: Option<Box<Details>>,
}

impl Phases {
    /// All phases together: how long network and target took. The time that
    /// the agent itself needed in between is not in it.
    pub fn total(&self) -> Duration {
        [self.resolve, self.connect, self.tls, self.processing, self.transfer]
            .into_iter()
            .flatten()
            .sum()
    }
}

impl Observation {
    /// The facts of its kind, to be filled in.
    pub fn details_mut(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }

    /// An observation that says only its outcome and why.
    pub fn bare(outcome: Outcome, reason: Option<Reason>, message: impl Into<String>) -> Self {
        Self {
            outcome,
            reason,
            message: message.into(),
            phases: Phases::default(),
            address: None,
            status: None,
            certificate_expires_s: None,
            sample: Vec::new(),
            redirects: 0,
            body_bytes: 0,
            details: None,
        }
    }
}
