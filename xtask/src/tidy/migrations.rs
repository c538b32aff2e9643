//! Both back ends have the same migrations by number and name, and those that
//! have been released never change.
//!
//! `migrations/checksums.txt` lists the released ones, a line each: SHA-256 in hex,
//! two blanks, `sqlite/0001_initial.sql`. A release adds its lines; nobody edits one.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::tree::file_name;
use super::{Finding, Tree};

const BACK_ENDS: [&str; 2] = ["migrations/sqlite", "migrations/postgres"];
const CHECKSUMS: &str = "migrations/checksums.txt";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = check_pairs(tree);
    findings.extend(BACK_ENDS.iter().flat_map(|folder| check_numbers(tree, folder)));
    findings.extend(check_released(tree));
    findings
}

fn names<'a>(tree: &'a Tree, folder: &'a str) -> BTreeSet<&'a str> {
    tree.below(folder)
        .map(|(path, _)| file_name(path))
        .filter(|name| name.ends_with(".sql"))
        .collect()
}

fn check_pairs(tree: &Tree) -> Vec<Finding> {
    let [one, other] = BACK_ENDS;
    let (left, right) = (names(tree, one), names(tree, other));
    let lonely = |from: &BTreeSet<&str>, missing: &BTreeSet<&str>, folder: &str| {
        let gone: Vec<String> =
            missing.difference(from).map(|name| format!("{folder}/{name}")).collect();
        gone.into_iter().map(|path| Finding::of(&path, "is missing: the other back end has it"))
    };
    lonely(&left, &right, one).chain(lonely(&right, &left, other)).collect()
}

/// Numbers run from 0001 without a gap, so that two branches cannot both add one unnoticed.
fn check_numbers(tree: &Tree, folder: &str) -> Vec<Finding> {
    names(tree, folder)
        .iter()
        .zip(1..)
        .filter(|(name, number)| !name.starts_with(&format!("{number:04}_")))
        .map(|(name, number)| {
            Finding::of(&format!("{folder}/{name}"), format!("should be number {number:04}"))
        })
        .collect()
}

fn check_released(tree: &Tree) -> Vec<Finding> {
    let Some(list) = tree.text(CHECKSUMS) else { return Vec::new() };
    list.lines()
        .zip(1..)
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|(line, number)| {
            let Some((sum, name)) = line.split_once("  ") else {
                return Some(Finding::at(
                    CHECKSUMS,
                    number,
                    "a line is a checksum, two blanks and a file",
                ));
            };
            let path = format!("migrations/{name}");
            match tree.text(&path) {
                None => Some(Finding::of(&path, "was released and is gone")),
                Some(text) if hex::encode(Sha256::digest(text)) != sum => Some(Finding::of(
                    &path,
                    "was released and must not change; add a migration instead",
                )),
                Some(_) => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).into_iter().map(|found| found.path).collect()
    }

    #[test]
    fn a_migration_of_one_back_end_only_is_found() {
        assert_eq!(
            found(&[("migrations/sqlite/0001_a.sql", ""), ("migrations/postgres/0001_a.sql", "")]),
            [""; 0]
        );
        assert_eq!(
            found(&[("migrations/sqlite/0001_a.sql", ""), ("migrations/postgres/0001_b.sql", "")]),
            ["migrations/sqlite/0001_b.sql", "migrations/postgres/0001_a.sql"]
        );
    }

    #[test]
    fn a_gap_in_the_numbers_is_found() {
        let (one, other) = ("migrations/sqlite/0002_a.sql", "migrations/postgres/0002_a.sql");
        assert_eq!(found(&[(one, ""), (other, "")]), [one, other]);
    }

    #[test]
    fn a_released_migration_that_changed_is_found() {
        let (one, other) = ("migrations/sqlite/0001_a.sql", "migrations/postgres/0001_a.sql");
        let list = format!(
            "# released\n{}  sqlite/0001_a.sql\n",
            hex::encode(Sha256::digest("select 1;"))
        );
        assert_eq!(found(&[(one, "select 1;"), (other, ""), (CHECKSUMS, &list)]), [""; 0]);
        assert_eq!(found(&[(one, "select 2;"), (other, ""), (CHECKSUMS, &list)]), [one]);
        assert_eq!(found(&[(CHECKSUMS, &list)]), [one]);
        assert_eq!(found(&[(CHECKSUMS, "abc\n")]), [CHECKSUMS]);
    }
}
