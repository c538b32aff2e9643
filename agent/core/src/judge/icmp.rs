//! `loss` and `jitter`: how many echo requests stayed unanswered, and how much
//! the round trips of the others varied.
//!
//! A check without a single reply does not come here; the probe says what it was.

use super::Judgement;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{IcmpFacts, Observation, Reason};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Icmp {
    expect: Limits,
    warn: Limits,
}

#[derive(Debug)]
struct Limits {
    loss: Option<u8>,
    jitter: Option<Span>,
}

impl Icmp {
    pub(super) fn new(spec: &MonitorSpec) -> Self {
        Self {
            expect: Limits { loss: spec.expect.loss, jitter: spec.expect.jitter },
            warn: Limits { loss: spec.warn.loss, jitter: spec.warn.jitter },
        }
    }

    pub(super) fn must(&self, seen: &Observation) -> Result<(), Judgement> {
        crossed(seen, &self.expect)
            .map_or(Ok(()), |(reason, says)| Err(Judgement::fail(reason, says)))
    }

    pub(super) fn should(&self, seen: &Observation) -> Result<(), Judgement> {
        crossed(seen, &self.warn)
            .map_or(Ok(()), |(reason, says)| Err(Judgement::degraded(reason, says)))
    }
}

fn crossed(seen: &Observation, limits: &Limits) -> Option<(Reason, String)> {
    let facts = seen.details.as_ref()?.icmp.as_ref()?;
    let loss = limits.loss.and_then(|limit| lossy(facts, limit));
    let loss = loss.map(|says| (Reason::PacketLoss, says));
    loss.or_else(|| Some((Reason::Jitter, jittery(facts, limits.jitter?)?)))
}

fn lossy(facts: &IcmpFacts, limit: u8) -> Option<String> {
    let percent = facts.loss_percent();
    (percent > u32::from(limit)).then(|| {
        let lost = facts.sent.saturating_sub(facts.received);
        let sent = facts.sent;
        format!("{lost} of {sent} echo requests ({percent}%) stayed unanswered, expected at most {limit}%")
    })
}

fn jittery(facts: &IcmpFacts, limit: Span) -> Option<String> {
    let jitter = Duration::from_micros(facts.jitter_us?);
    (jitter > limit.0).then(|| {
        let shown = jitter.as_secs_f64() * 1_000.0;
        format!("round trips varied by {shown:.1} ms, expected at most {limit}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Judge};
    use super::*;
    use hyperverge_protocol::outcome::Outcome;

    fn judged(rules: &str, sent: u32, received: u32, jitter_us: u64) -> Option<Judgement> {
        let json = format!(
            r#"{{"name":"gate","kind":"icmp","target":"gate.example","icmp":{{"packets":10}},{rules}}}"#
        );
        let spec = MonitorSpec::from_json(json.as_bytes()).expect("a good monitor");
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        let facts =
            IcmpFacts { sent, received, jitter_us: Some(jitter_us), ..IcmpFacts::default() };
        seen.details_mut().icmp = Some(facts);
        Judge::new(&spec).expect("rules").judge(&seen, &Answer::default(), 0).err()
    }

    #[test]
    fn loss_and_jitter_fail_or_warn_past_their_limits() {
        let rules = r#""expect":{"loss":50,"jitter":"20ms"},"warn":{"loss":0,"jitter":"5ms"}"#;
        assert_eq!(judged(rules, 10, 10, 5_000), None);
        for (received, jitter_us, outcome, reason, says) in [
            (
                9,
                0,
                Outcome::Degraded,
                Reason::PacketLoss,
                "1 of 10 echo requests (10%) stayed unanswered, expected at most 0%",
            ),
            (
                5,
                0,
                Outcome::Degraded,
                Reason::PacketLoss,
                "5 of 10 echo requests (50%) stayed unanswered, expected at most 0%",
            ),
            (
                4,
                0,
                Outcome::Fail,
                Reason::PacketLoss,
                "6 of 10 echo requests (60%) stayed unanswered, expected at most 50%",
            ),
            (
                10,
                5_100,
                Outcome::Degraded,
                Reason::Jitter,
                "round trips varied by 5.1 ms, expected at most 5ms",
            ),
            (
                9,
                20_001,
                Outcome::Fail,
                Reason::Jitter,
                "round trips varied by 20.0 ms, expected at most 20ms",
            ),
        ] {
            let judgement = judged(rules, 10, received, jitter_us).expect("crossed");
            assert_eq!(judgement, Judgement { outcome, reason, message: says.to_owned() });
        }
    }

    #[test]
    fn without_rules_any_loss_passes() {
        assert_eq!(judged(r#""interval":"60s""#, 10, 1, 900_000), None);
    }
}
