//! Where the programs are.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

const CONTROL_PLANE: &str = "hyperverge-control-plane";
const AGENT: &str = "hyperverge-agent";

/// The programs a fleet is made of.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub control_plane: PathBuf,
    pub agent: PathBuf,
}

impl Binaries {
    /// The programs in the folder of the running executable, as packages and builds put them.
    pub fn beside_this_program() -> Result<Self> {
        let program = std::env::current_exe().context("finding this program's own folder")?;
        Self::in_folder(program.parent().unwrap_or(Path::new("/")))
    }

    /// The programs in `folder`; an error names each that is missing.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let missing: Vec<_> = [CONTROL_PLANE, AGENT]
            .into_iter()
            .filter(|name| !folder.join(name).is_file())
            .collect();
        if !missing.is_empty() {
            bail!(
                "{} not found in {}; `cargo build --workspace` or the packages put the programs side by side",
                missing.join(" and "),
                folder.display()
            );
        }
        Ok(Self { control_plane: folder.join(CONTROL_PLANE), agent: folder.join(AGENT) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_what_is_missing_and_where() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(AGENT), "").expect("written");
        let error = Binaries::in_folder(folder.path()).expect_err("incomplete").to_string();
        assert!(error.starts_with("hyperverge-control-plane not found in "), "{error}");
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }
}
