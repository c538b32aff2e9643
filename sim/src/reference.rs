//! A plain statement of what must be true, beside the product's decisions.

use crate::control::Control;
use crate::control::note::Note;
use crate::scenario::Scenario;
use crate::world::cast::{AgentIndex, Cast, MonitorIndex};
use crate::world::truth::{Answer, Truth};
use hyperverge_agent_core::Lane;
use hyperverge_protocol::wire::ResultBatch;

/// See the module's head.
#[derive(Debug, Default)]
pub struct Reference {
    pub violations: Vec<String>,
}

impl Reference {
    pub fn new(_: &Scenario, _: &Cast) -> Self {
        Self::default()
    }
    pub fn note(&mut self, _: &Cast, _: &Truth, _: &Control, _: &Note, _: i64) {}
    pub fn checked(&mut self, _: MonitorIndex, _: AgentIndex, _: &Answer, _: i64) {}
    #[expect(clippy::too_many_arguments, reason = "stub")]
    pub fn acknowledged(
        &mut self,
        _: &Cast,
        _: &Control,
        _: AgentIndex,
        _: Lane,
        _: u64,
        _: Option<&ResultBatch>,
        _: i64,
    ) {
    }
    pub fn finish(&mut self, _: &Cast, _: &Truth, _: &Control, _: i64) {}
}
