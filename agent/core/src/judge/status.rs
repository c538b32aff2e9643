//! `expect.status`: which answers of http are good ones.

use super::Judgement;
use hyperverge_protocol::monitor::{MonitorSpec, StatusRange};
use hyperverge_protocol::outcome::Reason;

#[derive(Debug)]
pub(super) struct Status(Vec<StatusRange>);

impl Status {
    pub(super) fn new(spec: &MonitorSpec) -> Self {
        Self(spec.expect.status.clone())
    }

    pub(super) fn must(&self, status: u16) -> Result<(), Judgement> {
        if self.0.iter().any(|range| range.contains(status)) {
            return Ok(());
        }
        let expected: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        let message = format!("answered {status}, expected {}", expected.join(", "));
        Err(Judgement::fail(Reason::Status, message))
    }
}
