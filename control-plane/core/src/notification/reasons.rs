//! Reasons in words, for people who have never seen our list of them.

use hyperverge_protocol::outcome::Reason;

/// What a reason means, as the end of "because …"; a word this version does not
/// know is given back as it is.
pub fn in_words(reason: &str) -> &str {
    match Reason::parse(reason) {
        Some(known) => words(known),
        None => reason,
    }
}

fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::DnsNxdomain => "its name does not exist in DNS",
        Reason::DnsNoAddress => "its name has no address in DNS",
        Reason::DnsServfail => "the DNS servers of its name fail",
        Reason::DnsRefused => "the DNS servers refused to answer for its name",
        Reason::DnsTimeout | Reason::TimeoutResolve => "its name could not be looked up in time",
        Reason::DnsError => "its name could not be looked up",
        Reason::ConnectRefused => "it refused the connection",
        Reason::ConnectReset => "it reset the connection",
        Reason::ConnectUnreachable => "its address cannot be reached",
        Reason::ConnectError => "no connection could be made",
        Reason::TimeoutConnect => "it did not take the connection in time",
        Reason::TimeoutTls => "the TLS handshake did not end in time",
        Reason::TimeoutProcessing => "it did not begin to answer in time",
        Reason::TimeoutTransfer => "it did not finish its answer in time",
        Reason::TlsExpired => "its certificate has expired",
        Reason::TlsNotYetValid => "its certificate is not valid yet",
        Reason::TlsWrongHost => "its certificate is for another name",
        Reason::TlsUnknownIssuer => "its certificate is from an issuer nobody vouches for",
        Reason::TlsSelfSigned => "its certificate is signed by itself",
        Reason::TlsRevoked => "its certificate was revoked",
        Reason::TlsWeak => "it offers only weak encryption",
        Reason::TlsHandshake => "the TLS handshake failed",
        Reason::CertificateDays => "its certificate expires too soon",
        Reason::ResetProcessing => "it closed the connection before it answered",
        Reason::ResetTransfer => "it closed the connection in the middle of its answer",
        Reason::HttpMalformed => "its answer is not valid HTTP",
        Reason::HttpHeadersTooLarge => "its answer has too large headers",
        Reason::HttpVersion => "it does not speak the HTTP version asked for",
        Reason::RedirectLimit => "it redirects too often",
        Reason::RedirectInvalid => "it redirects to an address that cannot be used",
        Reason::RedirectDowngrade => "it redirects from https to plain http",
        Reason::Status => "it answered with a status that is not expected",
        Reason::Body => "its answer lacks the expected text",
        Reason::BodyTooLarge => "its answer is too large",
        Reason::Latency => "it answered too slowly",
        Reason::Assertion => "its answer does not satisfy an assertion",
        Reason::Inverted => "it works although it should not",
        Reason::PolicyAddress => "the agent's host does not allow its address",
        Reason::PolicyPort => "the agent's host does not allow its port",
        Reason::PolicyScheme => "the agent's host does not allow its scheme",
        Reason::PolicyMethod => "the agent's host does not allow the method",
        Reason::PolicyRate => "the agent's host allows no more checks of it now",
        Reason::UnsupportedKind => "the agent cannot make this kind of check",
        Reason::UnsupportedSpec => "the agent cannot read this check",
        Reason::UnsupportedPermission => "the agent lacks a permission for this check",
        Reason::UnsupportedFamily => "the agent has no address of the family needed",
        Reason::AgentFault => "the agent itself is in trouble",
    }
}
