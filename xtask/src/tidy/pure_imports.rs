//! The sources of the pure crates use no I/O of the standard library, no clock and
//! no collection whose order differs from run to run.
//!
//! Hash maps are refused outright instead of only their iteration: whether one is
//! iterated shows in another function, and `BTreeMap` costs nothing here.

use super::{Finding, PURE_CRATES, Tree};

const FORBIDDEN: [(&str, &str); 15] = [
    ("HashMap", "use BTreeMap: its order is the same in every run"),
    ("HashSet", "use BTreeSet: its order is the same in every run"),
    ("SystemTime", "take the time as a parameter"),
    ("Utc::now", "take the time as a parameter"),
    ("Local::now", "take the time as a parameter"),
    ("Instant::now", "take the time as a parameter"),
    ("std::time::Instant", "take the time as a parameter"),
    ("std::fs", "reading and writing belongs in a shell"),
    ("std::env", "the environment is read in a shell"),
    ("std::process", "processes belong in a shell"),
    ("std::thread", "threads belong in a shell"),
    ("std::net::Tcp", "sockets belong in a shell"),
    ("std::net::UdpSocket", "sockets belong in a shell"),
    ("ToSocketAddrs", "names are resolved in a shell"),
    ("rand::rng()", "take the generator as a parameter"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    PURE_CRATES
        .iter()
        .flat_map(|folder| tree.below(folder))
        .filter(|(path, _)| path.contains("/src/") && path.ends_with(".rs"))
        .flat_map(|(path, text)| check_file(path, text))
        .collect()
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or(line));
    code.zip(1..)
        .flat_map(|(line, number)| {
            FORBIDDEN.iter().filter(move |(word, _)| line.contains(word)).map(
                move |(word, instead)| {
                    Finding::at(path, number, format!("`{word}` in a pure crate: {instead}"))
                },
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_hash_maps_are_found_in_pure_crates_only() {
        let text =
            "//! Not a HashMap.\nuse std::collections::HashMap;\nlet now = SystemTime::now();\n";
        let tree = Tree::of(&[
            ("agent/core/src/a.rs", text),
            ("agent/src/a.rs", text),
            ("protocol/tests/golden.rs", "use std::fs;\n"),
        ]);
        let lines: Vec<(String, usize)> =
            check(&tree).into_iter().map(|found| (found.path, found.line)).collect();
        assert_eq!(
            lines,
            [("agent/core/src/a.rs".to_owned(), 2), ("agent/core/src/a.rs".to_owned(), 3)]
        );
    }
}
