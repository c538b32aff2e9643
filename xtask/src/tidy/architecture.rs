//! ARCHITECTURE.md is short, and every path it names exists.
//!
//! A path is whatever stands in backticks and has a slash inside or a file's
//! ending; `{a,b}` is expanded. A name of one part (`limits.rs`, `core/`) may stand
//! for several and has to exist somewhere. What starts with a slash is a URL's path
//! or a place on the installed machine, and what holds a blank or `<` is not a path.

use super::tree::extension_of;
use super::{Finding, Tree};

const PAGE: &str = "ARCHITECTURE.md";
const MOST_LINES: usize = 200;
const FILE_ENDINGS: [&str; 7] = ["rs", "toml", "md", "sql", "proto", "json", "yaml"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(PAGE) else { return Vec::new() };
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        findings.push(Finding::of(
            PAGE,
            format!("{lines} lines; {MOST_LINES} is the most, move detail to docs/"),
        ));
    }
    for (line, number) in text.lines().zip(1..) {
        let missing = named_paths(line).into_iter().filter(|path| !is_there(tree, path));
        findings.extend(
            missing.map(|path| Finding::at(PAGE, number, format!("`{path}` does not exist"))),
        );
    }
    findings
}

fn is_there(tree: &Tree, path: &str) -> bool {
    let one_part = !path.trim_end_matches('/').contains('/');
    tree.exists(path) || (one_part && tree.exists_somewhere(path))
}

fn named_paths(line: &str) -> Vec<String> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|word| looks_like_a_path(word)).flat_map(expand).collect()
}

fn looks_like_a_path(word: &str) -> bool {
    let has_place = word.trim_end_matches('/').contains('/') || word.ends_with('/');
    let plain = !word.starts_with('/')
        && !word.contains([' ', '<', '(', '"', '*', '='])
        && !word.contains("://");
    plain && (has_place || FILE_ENDINGS.contains(&extension_of(word)))
}

/// `a/{b,c}` names `a/b` and `a/c`.
fn expand(word: &str) -> Vec<String> {
    let parts = word
        .split_once('{')
        .and_then(|(head, rest)| rest.split_once('}').map(|(choice, tail)| (head, choice, tail)));
    match parts {
        Some((head, choice, tail)) => {
            choice.split(',').flat_map(|one| expand(&format!("{head}{one}{tail}"))).collect()
        }
        None => vec![word.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_in(page: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (PAGE, page),
            ("migrations/sqlite/0001_initial.sql", ""),
            ("agent/core/src/lib.rs", ""),
        ]);
        check(&tree).into_iter().map(|found| found.message).collect()
    }

    #[test]
    fn a_path_that_is_gone_is_found() {
        assert_eq!(
            missing_in("`agent/core/` and `/api/v1/monitors`, `a | b`, `agent/core/src/lib.rs`"),
            [""; 0]
        );
        assert_eq!(
            missing_in("see `agent/core/src/gone.rs`"),
            ["`agent/core/src/gone.rs` does not exist"]
        );
        assert_eq!(
            missing_in("`migrations/{sqlite,postgres}/`"),
            ["`migrations/postgres/` does not exist"]
        );
        assert_eq!(missing_in("see `gone.toml`"), ["`gone.toml` does not exist"]);
        assert_eq!(missing_in("each `core/` and its `lib.rs`"), [""; 0]);
    }

    #[test]
    fn a_page_that_grew_too_long_is_found() {
        assert_eq!(missing_in(&"line\n".repeat(201)).len(), 1);
    }
}
