//! `expect.headers`: headers of an http answer, each by a regular expression.

use super::{Answer, Judgement};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::Reason;
use hyperverge_protocol::pattern::Pattern;
use hyperverge_protocol::problem::FieldProblem;

/// Names in lower case, in the order of their names.
#[derive(Debug)]
pub(super) struct Headers(Vec<(String, Pattern)>);

impl Headers {
    pub(super) fn new(spec: &MonitorSpec) -> Result<Self, FieldProblem> {
        let compile = |(name, source): (&String, &String)| {
            let pattern = Pattern::parse(source).map_err(|rule| {
                FieldProblem::new(format!("expect.headers.{name}"), rule.to_string())
            })?;
            Ok((name.to_ascii_lowercase(), pattern))
        };
        Ok(Self(spec.expect.headers.iter().map(compile).collect::<Result<_, FieldProblem>>()?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A header that was repeated need match once.
    pub(super) fn must(&self, answer: &Answer<'_>) -> Result<(), Judgement> {
        for (name, pattern) in &self.0 {
            let mut there = false;
            let mut costly = false;
            let mut values = answer.headers.iter().filter(|(other, _)| other == name);
            let matches = values.any(|(_, value)| {
                there = true;
                pattern.is_match(value.as_bytes()).unwrap_or_else(|_| {
                    costly = true;
                    false
                })
            });
            if matches {
                continue;
            }
            let message = match (there, costly) {
                (false, _) => format!("the answer has no header {name}"),
                (_, false) => format!("the header {name} does not match its expected pattern"),
                (_, true) => {
                    format!("the header {name} takes too many steps to match with its pattern")
                }
            };
            return Err(Judgement::fail(Reason::Header, message));
        }
        Ok(())
    }
}
