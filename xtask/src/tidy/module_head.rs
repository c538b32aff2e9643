//! Every Rust file under a `src/` opens with a `//!` head that says what it is for.
//!
//! A `tests.rs` is excused: it is for the tests of the module beside it.

use super::tree::file_name;
use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.with_extension("rs")
        .filter(|(path, _)| path.starts_with("src/") || path.contains("/src/"))
        .filter(|(path, _)| file_name(path) != "tests.rs")
        .filter(|(_, text)| !opens_with_head(text))
        .map(|(path, _)| {
            Finding::at(path, 1, "no `//!` head: say what the file is for, and why so")
        })
        .collect()
}

fn opens_with_head(text: &str) -> bool {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .is_some_and(|line| line.len() > 4 && line.starts_with("//! "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_head_is_found() {
        let tree = Tree::of(&[
            ("agent/src/main.rs", "fn main() {}\n"),
            ("agent/src/lib.rs", "\n//! The agent.\n"),
            ("agent/src/empty.rs", "//! \n"),
            ("agent/src/schedule/tests.rs", "use super::*;\n"),
            ("agent/build.rs", "fn main() {}\n"),
        ]);
        let paths: Vec<String> = check(&tree).into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["agent/src/empty.rs", "agent/src/main.rs"]);
    }
}
