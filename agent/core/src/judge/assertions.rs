//! `assert`: expressions that must be true, in their order.

use super::{Answer, Judgement};
use hyperverge_protocol::expression::{Expression, Facts, Uses};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Reason};
use hyperverge_protocol::problem::FieldProblem;

#[derive(Debug)]
pub(super) struct Assertions {
    expressions: Vec<Expression>,
    uses: Uses,
}

impl Assertions {
    pub(super) fn new(spec: &MonitorSpec) -> Result<Self, FieldProblem> {
        let mut expressions = Vec::with_capacity(spec.assert.len());
        let mut uses = Uses::default();
        for (index, source) in spec.assert.iter().enumerate() {
            let expression = Expression::parse(source, spec.kind)
                .map_err(|rule| FieldProblem::new(format!("assert[{index}]"), rule.to_string()))?;
            uses.body |= expression.uses().body;
            uses.headers |= expression.uses().headers;
            expressions.push(expression);
        }
        Ok(Self { expressions, uses })
    }

    pub(super) fn uses(&self) -> Uses {
        self.uses
    }

    pub(super) fn must(
        &self,
        seen: &Observation,
        answer: &Answer<'_>,
        now_s: i64,
    ) -> Result<(), Judgement> {
        let facts = Facts::new(seen, answer.headers, answer.body, answer.cut, now_s);
        for expression in &self.expressions {
            expression
                .judge(&facts)
                .map_err(|message| Judgement::fail(Reason::Assertion, message))?;
        }
        Ok(())
    }
}
