//! What the tests are told from outside. A missing variable fails: a test that
//! silently does nothing would pass for ever.

use anyhow::{Context, Result};
use hyperverge_cli::fleet::Binaries;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The variable `name`, or an error that says how to get it.
pub fn variable(name: &str) -> Result<String> {
    std::env::var(name)
        .with_context(|| format!("{name} is not set; `scripts/test-environment` sets it"))
}

/// The programs under test.
pub(crate) fn binaries() -> Result<Binaries> {
    Binaries::in_folder(Path::new(&variable("HYPERVERGE_TEST_BIN_DIR")?))
}

/// Python with the receivers' libraries.
pub(crate) fn python() -> Result<PathBuf> {
    variable("HYPERVERGE_TEST_PYTHON").map(PathBuf::from)
}

/// One line into the test's output.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}
