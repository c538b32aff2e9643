//! No test is switched off: one that may be skipped is a promise nobody keeps.
//!
//! What takes too long for `make test` is a campaign (`make campaign`), not an
//! ignored test.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.with_extension("rs")
        .flat_map(|(path, text)| {
            text.lines().zip(1..).filter(|(line, _)| is_ignored(line)).map(move |(_, number)| {
                Finding::at(path, number, "an ignored test: make it run, or make it a campaign")
            })
        })
        .collect()
}

fn is_ignored(line: &str) -> bool {
    let line = line.trim_start();
    line.strip_prefix("#[ignore").is_some_and(|rest| rest.starts_with([']', ' ', '=']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_tests_are_found_with_and_without_a_reason() {
        let tree = Tree::of(&[(
            "agent/tests/a.rs",
            "#[test]\n#[ignore]\nfn a() {}\n    #[ignore = \"slow\"]\n",
        )]);
        assert_eq!(check(&tree).iter().map(|found| found.line).collect::<Vec<_>>(), [2, 4]);
    }
}
