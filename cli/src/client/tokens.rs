//! Who is signed in: tokens in a file of the user's own.
//!
//! A refresh token is good for one use, and using one twice ends the session. So
//! whoever refreshes holds a lock, and looks first whether another process has
//! refreshed meanwhile.

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a sign-in left behind.
#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    /// Where the control plane is.
    pub url: String,
    pub email: String,
    pub access_token: String,
    pub refresh_token: String,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Where they are kept; only the user may read it.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// `$XDG_CONFIG_HOME/hyperverge/session.json`, or below `~/.config`.
    pub fn of_user() -> io::Result<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let config = set("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".config")))
            .ok_or_else(|| io::Error::other("neither XDG_CONFIG_HOME nor HOME is set"))?;
        Ok(Self::at(config.join("hyperverge").join("session.json")))
    }

    /// The file at `path`.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept; `None` when nobody is signed in.
    pub fn load(&self) -> io::Result<Option<Tokens>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps `tokens`, whole or not at all.
    pub fn save(&self, tokens: &Tokens) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let new = self.path.with_extension("new");
        let mut file = private(&new)?;
        file.set_len(0)?;
        file.write_all(&serde_json::to_vec_pretty(tokens)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)
    }

    /// Waits until nobody else changes it; dropped, the lock is free again.
    pub(super) fn lock(&self) -> io::Result<File> {
        let file = private(&self.path.with_extension("lock"))?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_read_again_and_by_nobody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = TokenFile::at(folder.path().join("new").join("session.json"));
        assert!(file.load().expect("no error").is_none());
        let mut tokens = Tokens {
            url: "http://127.0.0.1:1".into(),
            email: "ann@example.com".into(),
            access_token: "a-long-token".into(),
            refresh_token: "r".into(),
        };
        file.save(&tokens).expect("saved");
        tokens.access_token = "b".into();
        file.save(&tokens).expect("saved again");
        let read = file.load().expect("no error").expect("signed in");
        assert_eq!((read.access_token.as_str(), read.url.as_str()), ("b", "http://127.0.0.1:1"));
        let mode = std::fs::metadata(file.path()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{read:?}").contains("ann"));
    }
}
