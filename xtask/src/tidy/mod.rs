//! The rules of the tree that no compiler checks.
//!
//! A rule is a pure function from the [`Tree`] to its [`Finding`]s, so that its
//! test is a tree of two lines. To add one: a file here with
//! `pub(super) fn check(tree: &Tree) -> Vec<Finding>` and a test that shows it
//! failing, then a line in [`RULES`].

mod architecture;
mod file_length;
mod file_names;
mod ignored_tests;
mod links;
mod metric_names;
mod migrations;
mod module_head;
mod promql;
mod pure_dependencies;
mod pure_imports;
mod tree;

use std::fmt;

pub(crate) use tree::Tree;

/// The crates whose decisions take time and randomness as parameters.
const PURE_CRATES: [&str; 3] = ["protocol", "control-plane/core", "agent/core"];

type Check = fn(&Tree) -> Vec<Finding>;

/// Every rule, by the name that its findings carry.
pub(crate) const RULES: [(&str, Check); 10] = [
    ("file-length", file_length::check),
    ("file-names", file_names::check),
    ("module-head", module_head::check),
    ("pure-dependencies", pure_dependencies::check),
    ("pure-imports", pure_imports::check),
    ("ignored-tests", ignored_tests::check),
    ("architecture", architecture::check),
    ("links", links::check),
    ("migrations", migrations::check),
    ("metric-names", metric_names::check),
];

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
    rule: &'static str,
}

impl Finding {
    /// A finding about a line, counted from one; the rule's name is filled in by [`check`].
    fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into(), rule: "" }
    }

    /// A finding about a whole file or folder.
    fn of(path: &str, message: impl Into<String>) -> Self {
        Self::at(path, 0, message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {} [{}]", self.path, self.message, self.rule),
            line => write!(f, "{}:{line}: {} [{}]", self.path, self.message, self.rule),
        }
    }
}

/// All findings of all rules, in order of path and line.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES
        .iter()
        .flat_map(|(rule, check)| check(tree).into_iter().map(|found| Finding { rule, ..found }))
        .collect();
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_carries_the_name_of_its_rule() {
        let tree = Tree::of(&[("agent/src/utils.rs", "//! Odds and ends.\n")]);
        let told: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("agent/src/utils.rs: ") && told[0].ends_with("[file-names]"),
            "{told:?}"
        );
    }
}
