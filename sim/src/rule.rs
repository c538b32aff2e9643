//! Other rules beside the product's, over the same world.
//!
//! A [`Rule`] is shown every observation as it is stored, once, and the fleet as
//! the control plane sees it, and says which pages it would send. It changes
//! nothing: any number of rules can watch one run. Without bursts
//! ([`crate::world::Options::decides`] is false) the agents keep to their
//! schedules alone, so that every rule has the same probe budget.
//!
//! To add one: implement [`Rule`], and hand it to [`crate::world::World::watch`].

use crate::control::note::Seen;
use crate::world::cast::{Cast, MonitorIndex};
use hyperverge_control_core::notification::NoticeKind;

/// Decides about pages.
pub trait Rule: std::fmt::Debug {
    /// What it is called in tables.
    fn name(&self) -> &str;

    /// An observation was stored at `now`.
    fn observe(&mut self, seen: &Seen, fleet: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>);

    /// A second passed.
    fn tick(&mut self, fleet: &Fleet<'_>, now: i64, pages: &mut Vec<RulePage>);
}

/// The fleet as the control plane sees it now.
#[derive(Debug)]
pub struct Fleet<'a> {
    pub cast: &'a Cast,
    /// By agent: whether it has a session.
    pub connected: &'a [bool],
}

/// A page that a rule sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePage {
    pub kind: NoticeKind,
    /// Whom it is about; several where the rule groups.
    pub monitors: Vec<MonitorIndex>,
    /// How much of the time until now was waiting for what belongs to it, ms.
    pub waited: i64,
}
