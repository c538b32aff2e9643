//! What an answer must be, and what it had better be.

use super::body::BodyReader;
use crate::probe::failure::Failure;
use hyperverge_protocol::limits::RESPONSE_BODY_BYTES;
use hyperverge_protocol::monitor::{MonitorSpec, StatusRange};
use hyperverge_protocol::outcome::Reason;
use memchr::memmem::Finder;

/// What a monitor expects of an answer.
#[derive(Debug)]
pub(super) struct Expectations {
    status: Vec<StatusRange>,
    body: Option<Finder<'static>>,
}

impl Expectations {
    pub(super) fn new(spec: &MonitorSpec) -> Self {
        let expect = &spec.expect;
        Self {
            status: expect.status.clone(),
            body: expect.body.as_ref().map(|text| Finder::new(text).into_owned()),
        }
    }

    /// A reader that looks for what the body must hold.
    pub(super) fn reader(&self) -> BodyReader<'_> {
        BodyReader::new(self.body.as_ref())
    }

    pub(super) fn judge_status(&self, status: u16) -> Result<(), Failure> {
        if self.status.iter().any(|range| range.contains(status)) {
            return Ok(());
        }
        let expected: Vec<String> = self.status.iter().map(ToString::to_string).collect();
        let message = format!("answered {status}, expected {}", expected.join(", "));
        Err(Failure::target(Reason::Status, message))
    }

    pub(super) fn judge_body(&self, found: bool, cut: bool) -> Result<(), Failure> {
        match (found, cut) {
            (true, _) => Ok(()),
            (false, false) => {
                Err(Failure::target(Reason::Body, "the body does not hold the expected text"))
            }
            (false, true) => {
                let mib = RESPONSE_BODY_BYTES / (1024 * 1024);
                let message =
                    format!("the first {mib} MiB of the body do not hold the expected text");
                Err(Failure::target(Reason::BodyTooLarge, message))
            }
        }
    }
}
