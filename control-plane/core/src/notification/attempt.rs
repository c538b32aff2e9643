//! What to do after an attempt: done, again later, or a dead letter.
//!
//! The schedule is [`backoff::delivery_delay`]: quick for ten minutes, since a
//! page is urgent, then that of Standard Webhooks for some three days. A mail
//! server's permanent refusal is not believed at once, because a relay that is
//! being set up refuses everybody, but it is not argued with for days either.

use super::limits::PERMANENT_ATTEMPTS;
use hyperverge_protocol::backoff;
use rand::Rng;
use std::time::Duration;

/// How an attempt ended, in the sender's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver took it.
    Accepted,
    /// The receiver certainly did not take it, and may do so later.
    Failed { why: String, retry_after: Option<Duration> },
    /// The receiver refuses this for good (SMTP 5xx).
    Rejected { why: String },
    /// The receiver is gone for good (HTTP 410): nothing more may be sent there.
    Gone { why: String },
    /// It was sent and nobody said whether it arrived.
    Unknown { why: String },
}

/// What becomes of the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Delivered,
    /// Tried again at this time, ms.
    RetryAt(i64),
    /// Out of attempts: a dead letter, until somebody replays or discards it.
    Dead,
}

/// Everything that follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfterAttempt {
    pub next: Next,
    /// Whether this or an earlier attempt may have arrived unsaid. Stays until
    /// the delivery is accepted: such a one is never collapsed into a later one.
    pub outcome_unknown: bool,
    /// For people; `None` when it was accepted.
    pub error: Option<String>,
    /// The channel is switched off, with `error` as the reason.
    pub disable_channel: bool,
    /// Nothing else goes to the channel for this long; the receiver asked for it.
    pub quiet: Option<Duration>,
}

/// Decides after attempt number `attempts` (1 is the first), which ended at `now`, ms.
pub fn after_attempt(
    attempts: u32,
    was_unknown: bool,
    result: AttemptResult,
    now: i64,
    rng: &mut impl Rng,
) -> AfterAttempt {
    let mut retry = |asked: Option<Duration>| {
        backoff::delivery_delay(attempts, asked, rng).map_or(Next::Dead, |delay| {
            Next::RetryAt(now.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)))
        })
    };
    let failed = |next, why| AfterAttempt {
        next,
        outcome_unknown: was_unknown,
        error: Some(why),
        disable_channel: false,
        quiet: None,
    };
    match result {
        AttemptResult::Accepted => AfterAttempt {
            next: Next::Delivered,
            outcome_unknown: false,
            error: None,
            disable_channel: false,
            quiet: None,
        },
        AttemptResult::Failed { why, retry_after } => AfterAttempt {
            quiet: retry_after.map(|asked| asked.min(backoff::RETRY_AFTER_MAX)),
            ..failed(retry(retry_after), why)
        },
        AttemptResult::Rejected { why } if attempts >= PERMANENT_ATTEMPTS => {
            failed(Next::Dead, why)
        }
        AttemptResult::Rejected { why } => failed(retry(None), why),
        AttemptResult::Gone { why } => {
            AfterAttempt { disable_channel: true, ..failed(Next::Dead, why) }
        }
        AttemptResult::Unknown { why } => {
            AfterAttempt { outcome_unknown: true, ..failed(retry(None), why) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn results() -> impl Strategy<Value = AttemptResult> {
        let why = || "why".to_owned();
        prop_oneof![
            Just(AttemptResult::Accepted),
            proptest::option::of(0u64..100_000).prop_map(move |asked| AttemptResult::Failed {
                why: why(),
                retry_after: asked.map(Duration::from_secs),
            }),
            Just(AttemptResult::Rejected { why: why() }),
            Just(AttemptResult::Gone { why: why() }),
            Just(AttemptResult::Unknown { why: why() }),
        ]
    }

    proptest! {
        #[test]
        fn any_row_of_results_ends_and_only_acceptance_counts_as_delivered(
            script in proptest::collection::vec(results(), 1..200), seed: u64,
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut now, mut unknown, mut ended) = (0, false, None);
            for (index, result) in script.iter().cycle().take(200).enumerate() {
                let attempts = u32::try_from(index).unwrap() + 1;
                let after = after_attempt(attempts, unknown, result.clone(), now, &mut rng);
                let accepted = *result == AttemptResult::Accepted;
                prop_assert_eq!(after.next == Next::Delivered, accepted);
                prop_assert_eq!(after.error.is_none(), accepted);
                prop_assert_eq!(after.disable_channel, matches!(result, AttemptResult::Gone { .. }));
                if !accepted {
                    let may_have_arrived =
                        script.iter().cycle().take(index + 1).any(|r| matches!(r, AttemptResult::Unknown { .. }));
                    prop_assert_eq!(after.outcome_unknown, may_have_arrived);
                }
                unknown = after.outcome_unknown;
                match after.next {
                    Next::RetryAt(at) => {
                        prop_assert!(at >= now + 5_000, "never sooner than the schedule begins");
                        now = at;
                    }
                    end => { ended = Some(end); break; }
                }
            }
            prop_assert!(ended.is_some());
        }

        #[test]
        fn an_asked_wait_is_honoured_up_to_an_hour(attempts in 1u32..20, asked in 0u64..20_000, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let result = AttemptResult::Failed {
                why: "429".into(),
                retry_after: Some(Duration::from_secs(asked)),
            };
            let after = after_attempt(attempts, false, result, 0, &mut rng);
            let Next::RetryAt(at) = after.next else { return Err(TestCaseError::fail("ended")) };
            prop_assert!(at >= i64::try_from(asked.min(3_600)).unwrap() * 1_000);
            prop_assert_eq!(after.quiet, Some(Duration::from_secs(asked.min(3_600))));
        }
    }

    #[test]
    fn a_permanent_refusal_is_retried_for_about_ten_minutes() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut now = 0;
        for attempts in 1.. {
            let result = AttemptResult::Rejected { why: "550".into() };
            match after_attempt(attempts, false, result, now, &mut rng).next {
                Next::RetryAt(at) => now = at,
                next => {
                    assert_eq!(next, Next::Dead);
                    break;
                }
            }
        }
        assert!((9 * 60_000..15 * 60_000).contains(&now), "{now} ms");
    }
}
