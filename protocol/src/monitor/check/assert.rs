//! Assertions.

use super::Problems;
use crate::expression::Expression;
use crate::limits;
use crate::monitor::MonitorSpec;

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    if spec.assert.len() > limits::ASSERTIONS {
        return found.unless(false, "assert", "must be at most 16 expressions");
    }
    for (index, source) in spec.assert.iter().enumerate() {
        if let Err(rule) = Expression::parse(source, spec.kind) {
            found.unless(false, &format!("assert[{index}]"), rule.to_string());
        }
    }
}
