//! The tree in memory: every text file by its path from the root.
//!
//! Read once, so that a rule cannot depend on the machine and its test can be
//! a handful of lines. Whatever git ignores is left out, and so is what is not text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Files past this size are data, not something to hold rules against.
const LARGEST_TEXT_BYTES: u64 = 4 * 1024 * 1024;

/// Paths use `/` and start at the root; texts are whole files.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    /// Files and folders, also those whose content is not text.
    paths: BTreeSet<String>,
}

impl Tree {
    /// Reads what git tracks, and what it would track if it were added.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git lists the files of the tree")?;
        ensure!(
            listed.status.success(),
            "git ls-files: {}",
            String::from_utf8_lossy(&listed.stderr)
        );
        let mut tree = Self::default();
        for path in String::from_utf8(listed.stdout)?.split_terminator('\0') {
            let on_disk = root.join(path);
            // A file deleted but not yet committed is still listed.
            let Ok(metadata) = on_disk.metadata() else { continue };
            if !metadata.is_file() {
                continue;
            }
            tree.add_path(path);
            if metadata.len() <= LARGEST_TEXT_BYTES {
                let bytes = std::fs::read(&on_disk).with_context(|| format!("read {path}"))?;
                if let Ok(text) = String::from_utf8(bytes) {
                    tree.files.insert(path.to_owned(), text);
                }
            }
        }
        Ok(tree)
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add_path(path);
            tree.files.insert((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    fn add_path(&mut self, path: &str) {
        let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        self.paths.extend(folders.map(str::to_owned));
        self.paths.insert(path.to_owned());
    }

    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a file or a folder stands at this path.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.paths.contains(path.trim_end_matches('/'))
    }

    /// Whether any file or folder, wherever it is, has this name.
    pub(super) fn exists_somewhere(&self, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        self.paths.iter().any(|path| file_name(path) == name)
    }

    /// Files below a folder (`""` is the root), with their texts, in order of path.
    pub(super) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| folder.is_empty() || is_below(path, folder))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Files whose name ends in `.extension`.
    pub(super) fn with_extension<'a>(
        &'a self,
        extension: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.below("").filter(move |(path, _)| extension_of(path) == extension)
    }
}

/// What stands after the last dot of the file's name, or nothing.
pub(super) fn extension_of(path: &str) -> &str {
    file_name(path).rsplit_once('.').map_or("", |(_, extension)| extension)
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_exist_because_of_their_files() {
        let tree = Tree::of(&[("agent/core/src/lib.rs", "")]);
        assert!(tree.exists("agent/core/") && tree.exists("agent/core/src/lib.rs"));
        assert!(!tree.exists("agent/cor"));
    }

    #[test]
    fn below_does_not_take_a_name_for_a_folder() {
        let tree = Tree::of(&[("agent/a.rs", ""), ("agents/b.rs", "")]);
        assert_eq!(tree.below("agent").map(|(path, _)| path).collect::<Vec<_>>(), ["agent/a.rs"]);
    }
}
