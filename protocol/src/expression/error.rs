//! Why an expression has no value, in plain words.

/// Reads on after `… has no value: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("{0} is not there")]
    Missing(String),
    #[error("{path} has no element {index}, it holds {len}")]
    Index { path: String, index: String, len: usize },
    #[error("`{operator}` does not apply to {left} and {right}")]
    Operands { operator: &'static str, left: &'static str, right: &'static str },
    #[error("`{name}` does not apply to {sort}")]
    Operand { name: &'static str, sort: &'static str },
    #[error("{path} is {sort}, not true or false")]
    NotBool { path: String, sort: &'static str },
    #[error("{path} is {sort}, which has no fields")]
    NoFields { path: String, sort: &'static str },
    #[error("{path} is {sort}, which cannot be gone through")]
    NotIterable { path: String, sort: &'static str },
    #[error("`{0}` goes beyond the largest number")]
    Overflow(&'static str),
    #[error("it divides by zero")]
    DivisionByZero,
    #[error("an object has a key that is {0}")]
    Key(&'static str),
    #[error("an object has a key twice")]
    RepeatedKey,
    #[error("the body is not JSON ({0})")]
    NotJson(String),
    #[error("the body is longer than what was read of it")]
    Cut,
    #[error("the body holds more than {0} JSON values")]
    JsonTooLarge(usize),
    #[error("a regular expression takes too many steps on this text")]
    Pattern,
    #[error("this answer is too large for it: given up after {0} steps")]
    TooCostly(u64),
}

impl Error {
    /// Whether the other side of `&&` or `||` may still decide. Once the steps
    /// are used up, nothing may.
    pub(super) fn may_be_absorbed(&self) -> bool {
        !matches!(self, Self::TooCostly(_))
    }
}
