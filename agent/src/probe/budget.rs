//! What the bodies of all running checks take of this host's memory, together.
//!
//! One body is bounded by its monitor's `body_limit`, and only where somebody wants
//! to see all of it is it kept. A thousand of those at once, from one broken
//! release or one hostile network, would still have the service manager end the
//! agent, and with it the checks of everybody else. So they share a budget. A check
//! that finds it spent says so as this agent's own fault, gives its share back by
//! ending, and shows nothing of its target.
//!
//! A share grows with what came, and nothing is set aside ahead: `body_limit` is a
//! bound against the worst, and most bodies are a hundredth of it.

use super::failure::Failure;
use super::limits;
use hyperverge_protocol::limits::SAMPLE_BYTES;
use hyperverge_protocol::outcome::Reason;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is shared; see the module.
#[derive(Debug)]
pub struct BodyBudget {
    bytes: usize,
    taken: AtomicUsize,
}

impl BodyBudget {
    /// Of `bytes` for all checks together.
    pub fn new(bytes: usize) -> Self {
        Self { bytes, taken: AtomicUsize::new(0) }
    }

    /// Nothing yet, for one check.
    pub(super) fn share(&self) -> Share<'_> {
        Share { budget: self, held: 0 }
    }

    /// Takes `more`, or nothing if that is more than is left.
    fn take(&self, more: usize) -> bool {
        let grown = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= self.bytes);
        // Relaxed: a count, which guards no other memory.
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok()
    }
}

/// What one check holds of the budget, until it is dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a BodyBudget,
    held: usize,
}

impl Share<'_> {
    /// Makes sure that `bytes` in all are paid for. The little that every check may
    /// keep, a sample, is free; above it, [`limits::BODIES_STEP`] by step.
    pub(super) fn cover(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes <= self.held || bytes <= SAMPLE_BYTES {
            return Ok(());
        }
        let wanted = bytes.next_multiple_of(limits::BODIES_STEP);
        if !self.budget.take(wanted - self.held) {
            return Err(self.spent());
        }
        self.held = wanted;
        Ok(())
    }

    fn spent(&self) -> Failure {
        let kib = self.budget.bytes / 1_024;
        let message = format!("the bodies of this agent's checks take the {kib} KiB that they may");
        Failure::unsupported(Reason::AgentFault, message)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES: usize = 10 * limits::BODIES_STEP;

    proptest! {
        /// Whatever checks do, what they hold is within the budget, is refused only
        /// where it would not be, and comes back.
        #[test]
        fn shares_keep_to_the_budget(
            moves in proptest::collection::vec((0usize..8, 0usize..BYTES + 9, any::<bool>()), 0..64),
        ) {
            let budget = BodyBudget::new(BYTES);
            let mut shares: Vec<_> = (0..8).map(|_| budget.share()).collect();
            for (index, bytes, ends) in moves {
                if ends {
                    shares[index] = budget.share();
                }
                let (before, held) = (budget.taken.load(Ordering::Relaxed), shares[index].held);
                let covered = shares[index].cover(bytes);
                let free = BYTES - before + held;
                prop_assert_eq!(covered.is_ok(), bytes <= SAMPLE_BYTES || bytes <= free, "{}", bytes);
                let all: usize = shares.iter().map(|share| share.held).sum();
                prop_assert_eq!(all, budget.taken.load(Ordering::Relaxed));
                prop_assert!(all <= BYTES);
                prop_assert!(covered.is_err() || bytes <= SAMPLE_BYTES || shares[index].held >= bytes);
            }
            drop(shares);
            prop_assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_spent_budget_accuses_nobody_and_names_itself() {
        let budget = BodyBudget::new(2 * limits::BODIES_STEP);
        let failure = budget.share().cover(2 * limits::BODIES_STEP + 1).expect_err("too much");
        assert_eq!(failure.reason, Reason::AgentFault);
        let kib = 2 * limits::BODIES_STEP / 1_024;
        assert!(failure.message.contains(&format!("{kib} KiB")), "{}", failure.message);
    }
}
