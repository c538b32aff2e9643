//! Key files: made once at first start, readable by their owner alone.
//!
//! A file is written under another name, flushed and linked into place, so a
//! crash leaves a whole key or none, and of two processes that start together
//! on one directory one wins and both use its key. The public half of the
//! assignment key lies beside it (`assignment.pub`), which is all that a
//! process with the role `api` alone ever opens.

use super::Keys;
use crate::clock;
use crate::settings::{Secret, Settings};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{SigningKey, VerifyingKey};
use hyperverge_protocol::identity;
use rand::RngExt;
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("key file {}: {source}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("key file {}: others may read it (mode {mode:o}); it must be 0600", .path.display())]
    Permissions { path: PathBuf, mode: u32 },
    #[error(
        "key file {}: is missing, and this installation has keys already; \
         copy it from where they are kept", .0.display()
    )]
    Missing(PathBuf),
    #[error("{place}: {rule}")]
    Format { place: String, rule: &'static str },
}

const ED25519_RULE: &str = "must be an ed25519 private key, as PKCS#8 PEM or 64 hexadecimal digits";
const WRAPPING_RULE: &str = "must be 64 hexadecimal digits";
const PUBLIC_RULE: &str = "must be an ed25519 public key, 64 hexadecimal digits";

/// What to do about a key that is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// The installation is new: make it.
    Make,
    /// The installation has keys, and one made now would not be among them.
    Refuse,
}

/// Reads the keys that `settings` give or name. `with_assignment` is false for
/// a process that does not sign assignments: it opens just the public half.
pub fn open(
    settings: &Settings,
    with_assignment: bool,
    absent: Absent,
) -> Result<Keys, KeyFileError> {
    let place = Place { dir: settings.keys_dir(), absent };
    let given = &settings.keys;
    let link = place.signing("link", &given.link)?;
    let session = match given.jwt_secret.is_empty() {
        true => place.signing("session", &given.session)?,
        false => derived(&given.jwt_secret),
    };
    let make = || hex::encode(clock::rng().random::<[u8; 32]>());
    let wrapping = place.text("wrapping.key", &given.wrapping, make)?;
    let wrapping = thirty_two(&wrapping.text)
        .ok_or(KeyFileError::Format { place: wrapping.place, rule: WRAPPING_RULE })?;
    let (assignment, assignment_public) = place.assignment(&given.assignment, with_assignment)?;
    Ok(Keys { link, assignment, assignment_public, session, wrapping })
}

struct Place {
    dir: PathBuf,
    absent: Absent,
}

struct Found {
    place: String,
    text: String,
}

impl Place {
    fn assignment(
        &self,
        given: &Secret,
        private: bool,
    ) -> Result<(Option<SigningKey>, VerifyingKey), KeyFileError> {
        let public_path = self.dir.join("assignment.pub");
        if !private && public_path.exists() {
            let place = public_path.display().to_string();
            let text = fs::read_to_string(&public_path).map_err(|e| failed(&public_path, e))?;
            let key = thirty_two(&text).and_then(|raw| identity::public_key(&raw).ok());
            let key = key.ok_or(KeyFileError::Format { place, rule: PUBLIC_RULE })?;
            return Ok((None, key));
        }
        if !private && given.is_empty() && !self.dir.join("assignment.pem").exists() {
            return Err(KeyFileError::Format {
                place: public_path.display().to_string(),
                rule: "is missing: start a process with the role scheduler first, or copy the file from one",
            });
        }
        let key = self.signing("assignment", given)?;
        let public = key.verifying_key();
        if given.is_empty() && !public_path.exists() {
            create(&public_path, &hex::encode(public.as_bytes()), 0o644)?;
        }
        Ok((private.then_some(key), public))
    }
    fn signing(&self, name: &'static str, given: &Secret) -> Result<SigningKey, KeyFileError> {
        let found = self.text(&format!("{name}.pem"), given, || {
            let key = SigningKey::generate(&mut clock::rng());
            let pem = key.to_pkcs8_pem(LineEnding::LF).expect("a fresh key encodes");
            pem.to_string()
        })?;
        let parsed = match found.text.contains("-----BEGIN") {
            true => SigningKey::from_pkcs8_pem(found.text.trim()).ok(),
            false => thirty_two(&found.text).map(|seed| SigningKey::from_bytes(&seed)),
        };
        parsed.ok_or(KeyFileError::Format { place: found.place, rule: ED25519_RULE })
    }

    fn text(
        &self,
        file: &str,
        given: &Secret,
        make: impl FnOnce() -> String,
    ) -> Result<Found, KeyFileError> {
        if !given.is_empty() {
            let stem = file.split('.').next().unwrap_or(file);
            return Ok(Found { place: format!("keys.{stem}"), text: given.expose().to_owned() });
        }
        let path = self.dir.join(file);
        if !path.exists() {
            if self.absent == Absent::Refuse {
                return Err(KeyFileError::Missing(path));
            }
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.dir)
                .map_err(|source| failed(&self.dir, source))?;
            create(&path, &make(), 0o600)?;
        }
        let mode = fs::metadata(&path).map_err(|e| failed(&path, e))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Permissions { path, mode });
        }
        let text = fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
        Ok(Found { place: path.display().to_string(), text })
    }
}

fn derived(secret: &Secret) -> SigningKey {
    let mut hash = Sha256::new();
    hash.update(b"hyperverge session key\0");
    hash.update(secret.expose());
    SigningKey::from_bytes(&hash.finalize().into())
}

fn thirty_two(text: &str) -> Option<[u8; 32]> {
    hex::decode(text.trim()).ok()?.try_into().ok()
}

/// Writes a new file whole, or leaves the one that another process made first.
fn create(path: &Path, text: &str, mode: u32) -> Result<(), KeyFileError> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> KeyFileError {
    KeyFileError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dir: &Path) -> Settings {
        let mut settings = Settings::default();
        settings.keys.dir = dir.join("keys").display().to_string();
        settings
    }

    #[test]
    fn keys_are_made_once_and_only_the_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let first = open(&settings, true, Absent::Make).unwrap();
        let second = open(&settings, true, Absent::Refuse).unwrap();
        assert_eq!(first.fingerprints(), second.fingerprints());
        for file in ["link.pem", "assignment.pem", "session.pem", "wrapping.key"] {
            let path = dir.path().join("keys").join(file);
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        }
        fs::remove_file(dir.path().join("keys/session.pem")).unwrap();
        let missing = open(&settings, true, Absent::Refuse);
        assert!(
            matches!(missing, Err(KeyFileError::Missing(path)) if path.ends_with("session.pem"))
        );
        let open_to_all = fs::Permissions::from_mode(0o644);
        fs::set_permissions(dir.path().join("keys/link.pem"), open_to_all).unwrap();
        assert!(matches!(
            open(&settings, true, Absent::Make),
            Err(KeyFileError::Permissions { .. })
        ));
    }

    #[test]
    fn the_api_alone_needs_no_private_assignment_key() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let error = open(&settings, false, Absent::Make).unwrap_err().to_string();
        assert!(error.contains("assignment.pub") && error.contains("scheduler"), "{error}");
        let whole = open(&settings, true, Absent::Make).unwrap();
        fs::remove_file(dir.path().join("keys/assignment.pem")).unwrap();
        let api = open(&settings, false, Absent::Make).unwrap();
        assert!(api.assignment().is_none());
        assert_eq!(api.assignment_public(), whole.assignment_public());
        assert!(!dir.path().join("keys/assignment.pem").exists());
    }

    #[test]
    fn a_given_key_is_used_and_a_damaged_one_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(dir.path());
        settings.keys.link = Secret::new(hex::encode([7; 32]));
        settings.keys.jwt_secret = Secret::new("a secret of at least thirty-two bytes");
        let keys = open(&settings, true, Absent::Make).unwrap();
        assert_eq!(keys.link().to_bytes(), [7; 32]);
        assert!(!dir.path().join("keys/link.pem").exists());
        assert!(!dir.path().join("keys/session.pem").exists());
        settings.keys.link = Secret::new("nonsense");
        let error = open(&settings, true, Absent::Make).unwrap_err().to_string();
        assert!(error.starts_with("keys.link: must be an ed25519"), "{error}");
    }
}
