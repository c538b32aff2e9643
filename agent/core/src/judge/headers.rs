//! `expect.headers`: headers of an http answer, each by a regular expression.

use super::{Answer, Judgement};
use crate::limits::HEADER_STEPS;
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
        let mut left = HEADER_STEPS;
        for (name, pattern) in &self.0 {
            let mut there = false;
            let mut costly = false;
            let mut values = answer.headers.iter().filter(|(other, _)| other == name);
            let matches = values.any(|(_, value)| {
                there = true;
                let steps = pattern.steps(value.len());
                let searched = if steps <= left {
                    left -= steps;
                    pattern.is_match(value.as_bytes()).ok()
                } else {
                    None
                };
                costly |= searched.is_none();
                searched.unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pattern: &str, values: Vec<String>) -> Result<(), Judgement> {
        let headers: Vec<_> = values.into_iter().map(|value| ("x".to_owned(), value)).collect();
        let expected = Headers(vec![("x".to_owned(), Pattern::parse(pattern).expect("good"))]);
        expected.must(&Answer { headers: &headers, ..Answer::default() })
    }

    #[test]
    fn all_values_together_have_one_budget() {
        // Each is cheap enough by itself.
        let pattern = "(?:.{1,50}x){1,5}y";
        let values = |count: usize| vec!["x".repeat(1_000); count];
        let few = judged(pattern, values(2)).expect_err("no match");
        assert_eq!(few.message, "the header x does not match its expected pattern");
        let many = judged(pattern, values(1_000)).expect_err("no match");
        assert_eq!(many.message, "the header x takes too many steps to match with its pattern");
        let mut plain = vec!["some text".to_owned(); 900];
        plain.push("ok".to_owned());
        assert_eq!(judged("^ok$", plain), Ok(()));
    }
}
