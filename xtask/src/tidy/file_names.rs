//! No file or module is called after nothing: `utils`, `helper`, `manager`, `common`.
//!
//! Such a name says where things were put, not what they are, and so everything fits.

use super::{Finding, Tree};

const EMPTY_NAMES: [&str; 7] =
    ["util", "utils", "helper", "helpers", "manager", "managers", "common"];
const SOURCE_EXTENSIONS: [&str; 6] = [".rs", ".ts", ".tsx", ".svelte", ".js", ".py"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.below("")
        .filter(|(path, _)| SOURCE_EXTENSIONS.iter().any(|extension| path.ends_with(extension)))
        .filter_map(|(path, _)| {
            let stems = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
            let empty = stems
                .flat_map(|stem| stem.split(['_', '-']))
                .find(|word| EMPTY_NAMES.contains(word))?;
            Some(Finding::of(
                path,
                format!("`{empty}` in a name says nothing; name what the file is about"),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_found_in_files_and_folders() {
        let tree = Tree::of(&[
            ("agent/src/time_utils.rs", ""),
            ("agent/tests/common/mod.rs", ""),
            ("agent/src/utilisation.rs", ""),
            ("agent/src/schedule.rs", ""),
        ]);
        let paths: Vec<String> = check(&tree).into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["agent/src/time_utils.rs", "agent/tests/common/mod.rs"]);
    }
}
