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
        let field = format!("assert[{index}]");
        match Expression::parse(source, spec.kind) {
            Ok(expression) => found.patterns(&field, &expression.patterns()),
            Err(rule) => found.unless(false, &field, rule.to_string()),
        }
    }
}
