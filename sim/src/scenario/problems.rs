//! What is wrong with a scenario, gathered: every broken rule with the key it is about.

use hyperverge_protocol::problem::FieldProblem;
use std::collections::BTreeSet;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<FieldProblem>);

impl Problems {
    /// `field` breaks `rule`, unless it holds.
    pub(super) fn unless(
        &mut self,
        holds: bool,
        field: impl Into<String>,
        rule: impl Into<String>,
    ) {
        if !holds {
            self.add(FieldProblem::new(field, rule));
        }
    }

    /// One entry makes many monitors, and says what is wrong with them once.
    pub(super) fn add(&mut self, problem: FieldProblem) {
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Each name in `given` must be one of `known`.
    pub(super) fn unless_known<'a>(
        &mut self,
        given: impl Iterator<Item = &'a String>,
        known: &BTreeSet<&str>,
        field: &str,
    ) {
        for name in given.filter(|name| !known.contains(name.as_str())) {
            let rule = match nearest(name, known.iter().copied()) {
                Some(word) => format!("names `{name}`, which is not there; did you mean `{word}`?"),
                None => format!("names `{name}`, which is not there"),
            };
            self.add(FieldProblem::new(field, rule));
        }
    }

    /// All of them, in the order in which they were found.
    pub(super) fn into_list(self) -> Vec<FieldProblem> {
        self.0
    }
}

/// The known word that `name` was probably meant to be.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|word| (strsim::damerau_levenshtein(word, name), word))
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .map(|(_, word)| word)
}
