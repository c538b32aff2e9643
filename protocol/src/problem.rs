//! Bad input, named: the field and the rule it broke.
//!
//! Every parser of this crate that reads what a person or a peer wrote answers
//! with a list of these. The API turns them into an RFC 9457 problem, the CLI
//! prints them, the link puts them in a refusal.

use serde::Serialize;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldProblem {
    /// Where, as a dotted path: `policy.fail_after`, `regions[2]`.
    pub field: String,
    /// The rule, as a sentence: `must be at least 1s`.
    pub rule: String,
}

impl FieldProblem {
    /// A problem with `field`.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }
}

impl std::fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}
