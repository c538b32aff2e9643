//! What a crash ends.

use super::{Agent, Boot, Disk, saved_offset};
use crate::world::cast::MonitorIndex;
use hyperverge_agent_core::Lane;
use hyperverge_agent_core::batch::Batcher;
use hyperverge_agent_core::clock::ControlClock;
use hyperverge_agent_core::schedule::{Caps, Now, Resume, Schedule};
use hyperverge_agent_core::session::Session;

/// The product's defaults.
const CAPS: Caps = Caps { in_flight: 2_000, per_target: 500 };

/// A running agent.
#[derive(Debug)]
pub struct Process {
    pub(super) schedule: Schedule<MonitorIndex>,
    pub(super) batcher: Batcher,
    pub(super) clock: ControlClock,
    pub(super) session: Session,
    pub(super) set_version: i64,
    pub(super) persisted_ms: i64,
    /// What to resume once the time is known.
    pub(super) resume: Resume,
    /// Whether a set is in force.
    pub(super) started: bool,
    /// Attempts to connect since the last session that lasted.
    pub attempt: u32,
    /// When it was established, boot clock.
    pub(super) established_ms: Option<i64>,
    /// The connection it has, by number.
    pub connection: Option<u64>,
    /// When it wants to be woken; a wake for another time is void.
    pub wake_at: Option<i64>,
}

impl Process {
    pub(super) fn new(disk: &Disk, boot: Boot, now: i64) -> Self {
        let clock = ControlClock::resume(saved_offset(disk), &boot.id);
        let resume = disk.resume();
        let known = if clock.is_dated() { resume.clone() } else { Resume::default() };
        let waiting = |lane| disk.spool.waiting(lane).collect::<Vec<_>>();
        Self {
            schedule: Schedule::new(CAPS, known),
            batcher: Batcher::new(boot.clock(now)),
            clock,
            session: Session::new(waiting(Lane::Live), waiting(Lane::Backlog)),
            set_version: disk.set.as_ref().map_or(0, |set| set.version),
            persisted_ms: boot.clock(now),
            resume,
            started: false,
            attempt: 0,
            established_ms: None,
            connection: None,
            wake_at: None,
        }
    }

    /// Both clocks; control-plane time is the boot's while it is not known.
    pub(super) fn now(&self, boot: Boot, now: i64) -> Now {
        let boot_ms = boot.clock(now);
        let control_us = self.clock.control_us(boot_ms * 1_000).unwrap_or(boot_ms * 1_000);
        Now { control_ms: control_us.div_euclid(1_000), boot_ms }
    }

    /// When it wants to be woken next, virtual time.
    pub(super) fn next_wake(&self, boot: Boot, now: i64) -> i64 {
        let at = self.now(boot, now);
        let due = self.schedule.next_wakeup().map_or(i64::MAX, |due| due - at.control_ms);
        let seal = self.batcher.next_seal_ms().saturating_sub(at.boot_ms);
        let session =
            self.session.next_wakeup(at.boot_ms).map_or(i64::MAX, |wake| wake - at.boot_ms);
        now + due.min(seal).min(session).clamp(1, TICK_MS)
    }
}

/// The engine looks around at least this often.
const TICK_MS: i64 = 1_000;

impl Agent {
    /// Whether it can do anything at `now`.
    pub fn is_awake(&self, now: i64) -> bool {
        self.process.is_some() && self.asleep_until.is_none_or(|until| now >= until)
    }
}
