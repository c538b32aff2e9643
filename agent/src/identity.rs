//! Who this agent is, and which control plane it belongs to.
//!
//! The ed25519 key is made on this host at the first enrolment and never leaves
//! it; the agent's id is its fingerprint. `enrollment.json` keeps what the token
//! said (addresses, pins, the assignment key), without its secret.

use crate::{clock, durable, limits};
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding};
use ed25519_dalek::{SigningKey, VerifyingKey};
use hyperverge_protocol::identity::{self, AgentId};
use hyperverge_protocol::token::EnrollmentToken;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

const KEY_FILE: &str = "agent.key";
const ENROLLMENT_FILE: &str = "enrollment.json";

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot read or write {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} does not hold an ed25519 key in PKCS#8 PEM")]
    Key { path: PathBuf },
    #[error("{path} is damaged: {rule}; enrol again")]
    Record { path: PathBuf, rule: String },
    #[error(
        "{path} is open to others than its owner; chmod 600 it, and enrol anew if it may have leaked"
    )]
    Exposed { path: PathBuf },
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> IdentityError + '_ {
    |source| IdentityError::File { path: path.to_owned(), source }
}

/// The agent's key, if it has one.
pub fn load_key(state_dir: &Path) -> Result<Option<SigningKey>, IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let path = state_dir.join(KEY_FILE);
    let Some(bytes) = durable::read(&path, limits::SMALL_FILE_BYTES).map_err(file_error(&path))?
    else {
        return Ok(None);
    };
    let mode = path.metadata().map_err(file_error(&path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(IdentityError::Exposed { path });
    }
    let pem = String::from_utf8(bytes).map_err(|_| IdentityError::Key { path: path.clone() })?;
    SigningKey::from_pkcs8_pem(&pem).map(Some).map_err(|_| IdentityError::Key { path })
}

/// The agent's key, made and stored if it has none.
pub fn load_or_create_key(state_dir: &Path) -> Result<SigningKey, IdentityError> {
    durable::private_dir(state_dir).map_err(file_error(state_dir))?;
    if let Some(key) = load_key(state_dir)? {
        return Ok(key);
    }
    let path = state_dir.join(KEY_FILE);
    let key = SigningKey::generate(&mut clock::rng());
    let pem =
        key.to_pkcs8_pem(LineEnding::LF).map_err(|_| IdentityError::Key { path: path.clone() })?;
    durable::replace(&path, pem.as_bytes()).map_err(file_error(&path))?;
    Ok(key)
}

/// What an enrolment leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrollment {
    /// `host:port` of the link, tried in order.
    pub addresses: Vec<String>,
    /// Raw public keys the link may present, hexadecimal.
    pub link_keys: Vec<String>,
    /// The key that signs assignment sets, hexadecimal.
    pub assignment_key: String,
    pub region: String,
    /// The agent's id, 64 hexadecimal digits.
    pub agent_id: String,
}

/// An enrolment whose keys have been read.
#[derive(Debug, Clone)]
pub struct Enrolled {
    pub agent_id: AgentId,
    pub region: String,
    pub addresses: Vec<String>,
    pub pins: Vec<VerifyingKey>,
    pub assignment_key: VerifyingKey,
}

impl Enrollment {
    /// What `token` says, for this agent.
    pub fn new(token: &EnrollmentToken, region: String, agent_id: AgentId) -> Self {
        Self {
            addresses: token.addresses.clone(),
            link_keys: token.link_keys.clone(),
            assignment_key: token.assignment_key.clone(),
            region,
            agent_id: agent_id.to_string(),
        }
    }

    /// Reads the keys.
    pub fn keys(&self) -> Result<Enrolled, String> {
        let key = |text: &String| {
            let raw = hex::decode(text).map_err(|_| "a key is not hexadecimal".to_owned())?;
            identity::public_key(&raw).map_err(|error| error.to_string())
        };
        let agent_id = self.agent_id.parse().map_err(|e: identity::IdentityError| e.to_string())?;
        if self.addresses.is_empty() || self.link_keys.is_empty() {
            return Err("addresses and link_keys must not be empty".to_owned());
        }
        Ok(Enrolled {
            agent_id,
            region: self.region.clone(),
            addresses: self.addresses.clone(),
            pins: self.link_keys.iter().map(key).collect::<Result<_, _>>()?,
            assignment_key: key(&self.assignment_key)?,
        })
    }

    /// Stores the record.
    pub fn save(&self, state_dir: &Path) -> Result<(), IdentityError> {
        let path = state_dir.join(ENROLLMENT_FILE);
        let record = |error: serde_json::Error| IdentityError::Record {
            path: path.clone(),
            rule: error.to_string(),
        };
        let json = serde_json::to_vec_pretty(self).map_err(record)?;
        durable::replace(&path, &json).map_err(file_error(&path))
    }
}

/// The enrolment of the agent with `key`, if there is one.
pub fn load_enrollment(
    state_dir: &Path,
    key: &SigningKey,
) -> Result<Option<Enrolled>, IdentityError> {
    let path = state_dir.join(ENROLLMENT_FILE);
    let Some(json) = durable::read(&path, limits::SMALL_FILE_BYTES).map_err(file_error(&path))?
    else {
        return Ok(None);
    };
    let damaged = |rule: String| IdentityError::Record { path: path.clone(), rule };
    let record: Enrollment =
        serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
    let enrolled = record.keys().map_err(damaged)?;
    if enrolled.agent_id != identity::fingerprint(key) {
        return Err(damaged("it names another agent than agent.key".to_owned()));
    }
    Ok(Some(enrolled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        assert!(load_key(&state).expect("nothing there").is_none());
        let key = load_or_create_key(&state).expect("made");
        assert_eq!(load_or_create_key(&state).expect("kept").to_bytes(), key.to_bytes());
        let file = state.join(KEY_FILE);
        let pem = std::fs::read_to_string(&file).expect("readable");
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
        assert!(matches!(load_key(&state), Err(IdentityError::Exposed { .. })));
    }

    #[test]
    fn an_enrolment_belongs_to_its_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = load_or_create_key(dir.path()).expect("made");
        let public = hex::encode(key.verifying_key());
        let token = EnrollmentToken::new(
            vec!["localhost:4433".into()],
            vec![public.clone()],
            public,
            "eu".into(),
            &[1; 32],
        );
        let record = Enrollment::new(&token, "eu".into(), identity::fingerprint(&key));
        record.save(dir.path()).expect("saved");
        let enrolled = load_enrollment(dir.path(), &key).expect("good").expect("there");
        assert_eq!(enrolled.pins, [key.verifying_key()]);
        let other = SigningKey::from_bytes(&[9; 32]);
        assert!(matches!(load_enrollment(dir.path(), &other), Err(IdentityError::Record { .. })));
        let text = std::fs::read_to_string(dir.path().join(ENROLLMENT_FILE)).expect("readable");
        assert!(!text.contains(&hex::encode([1u8; 32])), "the secret is not kept");
    }
}
