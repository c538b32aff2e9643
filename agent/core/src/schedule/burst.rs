//! Confirmation bursts: checks that the control plane orders out of turn.
//!
//! A burst looks at one monitor at once, and again [`BURST_SPACING`] after each
//! answer, until one success or as many checks without one as the order says. A target
//! that hangs is known to hang only after the timeout, so a check that is not answered
//! within [`BURST_SPACING`] is not waited for: the next one starts beside it. It asks
//! little more of the target than slots may:
//!
//! - A monitor has at most [`MONITOR_IN_FLIGHT`] checks in flight, whatever started
//!   them. The next starts once the newest of them has run for [`BURST_SPACING`].
//! - The caps hold: places in flight, places of the target, starts per turn. Only
//!   the line is passed, since what waits in it are looks of no urgency, and the
//!   slow share, since what is confirmed is often what hangs. So there are few.
//! - It runs once. Orders are remembered for longer than they hold, and one that
//!   is heard of later has expired.
//!
//! Its checks own no slot: none of them is missed, and completeness does not wait
//! for them. A slot of the same monitor that has to wait too long is missed.

#[cfg(doc)]
use crate::limits::MONITOR_IN_FLIGHT;
use crate::limits::{ACTIVE_BURSTS, BURST_SKEW_MS, REMEMBERED_BURSTS};
use hyperverge_protocol::limits::{BURST_LIFE, BURST_SPACING, STREAK_MAX};
use std::collections::BTreeMap;
use uuid::Uuid;

const SPACING_MS: i64 = BURST_SPACING.as_millis() as i64;
const LIFE_MS: i64 = BURST_LIFE.as_millis() as i64;

/// An order whose signature was believed. Times are control-plane time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    pub id: Uuid,
    pub monitor: Uuid,
    pub revision: u64,
    /// Checks without a success that end it; 1 or more.
    pub failures: u32,
    /// No check starts before.
    pub asked_ms: i64,
    /// No check starts from then on.
    pub expires_ms: i64,
}

/// Which check of which burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstCheck {
    pub id: Uuid,
    /// 1, 2, …
    pub index: u32,
}

/// Why an order is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BurstRefusal {
    #[error("this order was taken before")]
    Known,
    #[error("this order has expired")]
    Expired,
    #[error("the order's times lie too far ahead")]
    TooFar,
    #[error("failures must be 1 to {STREAK_MAX}")]
    Failures,
    #[error("the present set does not hold the monitor at this revision")]
    NotHeld,
    #[error("too many bursts are active, or remembered")]
    Full,
}

impl BurstRefusal {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Expired => "expired",
            Self::TooFar => "too_far",
            Self::Failures => "failures",
            Self::NotHeld => "not_held",
            Self::Full => "full",
        }
    }
}

/// A burst that still has checks to make.
#[derive(Debug, Clone, Copy)]
pub(super) struct Active {
    pub(super) burst: Burst,
    /// Position of the monitor's entry.
    pub(super) entry: usize,
    /// Checks that were started.
    started: u32,
    /// Of those, how many have ended; none with a success.
    ended: u32,
    /// When the next may start; `None` where none is needed after those that run.
    next_ms: Option<i64>,
    /// When the check of the monitor that runs has run long enough for one beside it.
    beside_ms: Option<i64>,
}

impl Active {
    /// The newest check has started, or was answered before the next one could start.
    fn set_next(&mut self, now_ms: i64) {
        let needed = self.started < self.burst.failures;
        self.next_ms = needed.then(|| now_ms.saturating_add(SPACING_MS));
    }

    /// Whether its time has come. A clock that stepped back does not stop it.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        let due = |next: i64| next <= now_ms || next - now_ms > SPACING_MS;
        self.burst.asked_ms <= now_ms && self.next_ms.is_some_and(due)
    }
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    /// In the order in which they came.
    active: Vec<Active>,
    /// When each order that was taken expires.
    remembered: BTreeMap<Uuid, i64>,
}

impl Bursts {
    /// Takes an order; `entry` is where the set holds its monitor. A newer one of
    /// the same monitor takes over.
    pub(super) fn take(
        &mut self,
        burst: Burst,
        entry: Option<usize>,
        now_ms: i64,
    ) -> Result<(), BurstRefusal> {
        self.end_expired(now_ms);
        // Longer than they hold, since our idea of the time may step back.
        self.remembered.retain(|_, expires_ms| now_ms < expires_ms.saturating_add(LIFE_MS));
        if self.remembered.contains_key(&burst.id) {
            return Err(BurstRefusal::Known);
        }
        if burst.expires_ms <= now_ms {
            return Err(BurstRefusal::Expired);
        }
        let ahead = |ms: i64, most: i64| ms.saturating_sub(now_ms) > most;
        if ahead(burst.asked_ms, BURST_SKEW_MS) || ahead(burst.expires_ms, LIFE_MS + BURST_SKEW_MS)
        {
            return Err(BurstRefusal::TooFar);
        }
        if !(1..=STREAK_MAX).contains(&burst.failures) {
            return Err(BurstRefusal::Failures);
        }
        let entry = entry.ok_or(BurstRefusal::NotHeld)?;
        let replaced = self.active.iter().position(|a| a.burst.monitor == burst.monitor);
        let others = self.active.len() - usize::from(replaced.is_some());
        if others >= ACTIVE_BURSTS || self.remembered.len() >= REMEMBERED_BURSTS {
            return Err(BurstRefusal::Full);
        }
        if let Some(replaced) = replaced {
            self.active.remove(replaced);
        }
        self.remembered.insert(burst.id, burst.expires_ms);
        let next_ms = Some(now_ms.max(burst.asked_ms));
        self.active.push(Active { burst, entry, started: 0, ended: 0, next_ms, beside_ms: None });
        Ok(())
    }

    /// Ends what has expired, or was asked at a time that is now far ahead.
    pub(super) fn end_expired(&mut self, now_ms: i64) {
        let ahead = now_ms.saturating_add(BURST_SKEW_MS);
        self.active.retain(|a| now_ms < a.burst.expires_ms && a.burst.asked_ms <= ahead);
    }

    /// Ends all. What was taken stays remembered.
    pub(super) fn end_all(&mut self) {
        self.active.clear();
    }

    /// A new set: `entry` says where it holds a monitor at a revision, and what it
    /// does not hold ends.
    pub(super) fn renew(&mut self, entry: impl Fn(Uuid, u64) -> Option<usize>) {
        self.active.retain_mut(|active| {
            let at = entry(active.burst.monitor, active.burst.revision);
            active.entry = at.unwrap_or_default();
            at.is_some()
        });
    }

    pub(super) fn active(&self) -> &[Active] {
        &self.active
    }

    /// The check of the active burst at `place` starts.
    pub(super) fn started(&mut self, place: usize, now_ms: i64) -> BurstCheck {
        let active = &mut self.active[place];
        active.started += 1;
        active.beside_ms = None;
        active.set_next(now_ms);
        BurstCheck { id: active.burst.id, index: active.started }
    }

    /// Whether the newest check of the monitor has not run long enough for one of the burst
    /// at `place` to start beside it. If so, it is looked at again when it has.
    pub(super) fn is_too_soon(&mut self, place: usize, ran_ms: i64, now_ms: i64) -> bool {
        let too_soon = ran_ms < SPACING_MS;
        if too_soon {
            let beside_ms = now_ms.saturating_add(SPACING_MS - ran_ms.max(0));
            self.active[place].beside_ms = Some(beside_ms);
        }
        too_soon
    }

    /// A check that ran has ended. A burst that ended before stays so.
    pub(super) fn ended(&mut self, check: BurstCheck, succeeded: bool, now_ms: i64) {
        let Some(place) = self.active.iter().position(|a| a.burst.id == check.id) else { return };
        let active = &mut self.active[place];
        active.ended += 1;
        if succeeded || active.ended >= active.burst.failures {
            self.active.remove(place);
        } else if check.index == active.started {
            active.set_next(now_ms);
        }
    }

    /// When the next check may start that was not to start at `seen_ms` yet.
    pub(super) fn next_after(&self, seen_ms: Option<i64>) -> Option<i64> {
        let times = self.active.iter().flat_map(|active| [active.next_ms, active.beside_ms]);
        times.flatten().filter(|next| seen_ms.is_none_or(|seen| *next > seen)).min()
    }
}
