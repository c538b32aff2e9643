//! A source file has at most 800 lines: past that it holds more than one thing.

use super::tree::extension_of;
use super::{Finding, Tree};

const MOST_LINES: usize = 800;
const SOURCE_EXTENSIONS: [&str; 9] =
    ["rs", "ts", "tsx", "svelte", "js", "py", "sh", "proto", "sql"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.below("")
        .filter(|(path, _)| SOURCE_EXTENSIONS.contains(&extension_of(path)))
        .filter_map(|(path, text)| {
            let lines = text.lines().count();
            (lines > MOST_LINES).then(|| {
                Finding::of(path, format!("{lines} lines; split it, {MOST_LINES} is the most"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_too_many_is_found() {
        let (full, over) = ("x\n".repeat(800), "x\n".repeat(801));
        let tree = Tree::of(&[("a.rs", &full), ("b.rs", &over), ("c.json", &over)]);
        let paths: Vec<String> = check(&tree).into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["b.rs"]);
    }
}
