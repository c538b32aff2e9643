//! The sentences people read.

use super::Open;
use crate::correlation::{DISCREDITED, Evaluation, RegionState, RegionView, Verdict};
use hyperverge_protocol::outcome::Reason;

/// `checkout-api is down in 3 of 3 regions: connection refused`.
pub(super) fn hurts(name: &str, evaluation: &Evaluation) -> String {
    let seats = evaluation.seats;
    let what = match evaluation.verdict {
        Verdict::Down => format!("is down in {} of {seats} regions", evaluation.down),
        Verdict::Degraded => {
            let hurt = evaluation.down + evaluation.degraded;
            format!("is degraded in {hurt} of {seats} regions")
        }
        Verdict::Up | Verdict::Unknown => {
            let names: Vec<&str> =
                evaluation.of(RegionState::Down).map(|region| region.region.as_str()).collect();
            format!("fails in {} of {seats} regions ({})", evaluation.down, names.join(", "))
        }
    };
    match &evaluation.cause {
        Some(cause) => format!("{name} {what}: {}", phrase(cause)),
        None => format!("{name} {what}"),
    }
}

/// `checkout-api is up again after 3m 20s; it was: connection refused`.
pub(super) fn recovered(name: &str, open: &Open, now: i64) -> String {
    let after = span(now - open.started_at);
    match &open.cause {
        Some(cause) => format!("{name} is up again after {after}; it was: {}", phrase(cause)),
        None => format!("{name} is up again after {after}"),
    }
}

/// `checkout-api is no longer seen failing after 5m: eu-west casts no vote (its agent is silent);
/// it was: connection refused`. `regions`: those that saw it fail and cast no vote now.
pub(super) fn unseen(name: &str, open: &Open, regions: &[&RegionView], now: i64) -> String {
    let after = span(now - open.started_at);
    let why = |region: &RegionView| region.reason.as_deref().and_then(no_vote);
    let all: Vec<String> = regions
        .iter()
        .map(|region| match why(region) {
            Some(why) => format!("{} casts no vote ({why})", region.region),
            None => format!("{} casts no vote", region.region),
        })
        .collect();
    let what = format!("{name} is no longer seen failing after {after}: {}", all.join(", "));
    match &open.cause {
        Some(cause) => format!("{what}; it was: {}", phrase(cause)),
        None => what,
    }
}

/// Why a seat casts no vote, where it is a word of ours.
fn no_vote(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "silent" => "its agent is silent",
        "unassigned" => "no agent has the monitor",
        "pending" => "its agent has not looked yet",
        "missed" | "missed_overload" | "missed_suspend" | "missed_stopped" => {
            "its agent missed checks"
        }
        "agent_fault" => "its agent has trouble of its own",
        DISCREDITED => "its agent is itself at fault",
        _ => return None,
    })
}

/// A duration as people say it: its two largest units.
pub(super) fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let said: Vec<String> = parts
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if said.is_empty() { "0s".to_owned() } else { said.join(" ") }
}

/// What a reason means, in words for people.
pub fn phrase(reason: &str) -> String {
    let words = match Reason::parse(reason) {
        Some(Reason::DnsNxdomain) => "the name does not exist",
        Some(Reason::DnsNoAddress) => "the name has no address",
        Some(Reason::DnsServfail) => "the name servers fail",
        Some(Reason::DnsTimeout | Reason::TimeoutResolve) => "timeout resolving the name",
        Some(Reason::ConnectRefused) => "connection refused",
        Some(Reason::ConnectReset) => "connection reset",
        Some(Reason::ConnectUnreachable) => "host unreachable",
        Some(Reason::TimeoutConnect) => "timeout connecting",
        Some(Reason::TimeoutTls) => "timeout in the TLS handshake",
        Some(Reason::TimeoutProcessing) => "timeout waiting for the answer",
        Some(Reason::TimeoutTransfer) => "timeout reading the answer",
        Some(Reason::TlsExpired) => "certificate expired",
        Some(Reason::TlsNotYetValid) => "certificate not valid yet",
        Some(Reason::TlsWrongHost) => "certificate for another host",
        Some(Reason::TlsUnknownIssuer) => "certificate of an unknown issuer",
        Some(Reason::TlsSelfSigned) => "self-signed certificate",
        Some(Reason::TlsHandshake) => "TLS handshake failed",
        Some(Reason::CertificateDays) => "certificate expires soon",
        Some(Reason::ResetProcessing) => "connection closed before the answer",
        Some(Reason::ResetTransfer) => "connection closed within the answer",
        Some(Reason::HttpMalformed) => "malformed answer",
        Some(Reason::Status) => "unexpected status",
        Some(Reason::Body) => "unexpected body",
        Some(Reason::Latency) => "too slow",
        _ => return reason.replace('_', " "),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_say_their_two_largest_units() {
        for (ms, said) in [
            (0, "0s"),
            (999, "0s"),
            (1_000, "1s"),
            (200_000, "3m 20s"),
            (3_600_000, "1h"),
            (3_605_000, "1h"),
            (90_061_000, "1d 1h"),
            (-5, "0s"),
        ] {
            assert_eq!(span(ms), said, "{ms}");
        }
    }

    #[test]
    fn a_reason_reads_as_words() {
        assert_eq!(phrase("connect_refused"), "connection refused");
        assert_eq!(phrase("tls_weak"), "tls weak");
        assert_eq!(phrase("from_the_future"), "from the future");
    }
}
